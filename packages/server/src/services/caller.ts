// Who is calling, in the form that is kept in sessions and events. Control characters never get past this file.
const USER_AGENT_MAX_CHARACTERS = 512;

export interface Client {
  readonly ip: string | null;
  readonly userAgent: string | null;
  /** The id of the request that it makes, which the log has; it is kept nowhere. */
  readonly requestId?: string | undefined;
}

/** The caller as events and sessions keep it: the User-Agent escaped and cut. */
export function describeClient(options: {
  ip: string | null;
  userAgent: string | undefined;
  requestId?: string | undefined;
}): Client {
  const { ip, userAgent, requestId } = options;
  return {
    ip,
    userAgent: userAgent ? escapeControlCharacters(userAgent).slice(0, USER_AGENT_MAX_CHARACTERS) : null,
    requestId,
  };
}

/** Writes C0, DEL, C1 and the Unicode line and direction controls as `\u…`, so that no log or terminal obeys them. */
export function escapeControlCharacters(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
