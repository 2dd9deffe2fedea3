// Reads the Set-Cookie lines of a response, whichever fetch it comes from. It keeps nothing.

/** `getSetCookie` is missing in node-fetch 2 and in runtimes before 2023. */
type AnyHeaders = Pick<Headers, 'get'> & { getSetCookie?: () => string[] };

/** Returns no lines where the platform keeps the cookies: a browser hides them, and React Native sends them itself. */
export function readSetCookie(headers: AnyHeaders): readonly string[] {
  if (isReactNative()) return [];
  return headers.getSetCookie?.() ?? splitJoined(headers.get('set-cookie') ?? '');
}

const isReactNative = () => (globalThis as { navigator?: { product?: string } }).navigator?.product === 'ReactNative';

/** The lines of several headers in one. A comma in `Expires` is not followed by a name and an equals sign. */
function splitJoined(text: string): string[] {
  return text === '' ? [] : text.split(/,\s*(?=[\w!#$%&'*+.^`|~-]+=)/);
}
