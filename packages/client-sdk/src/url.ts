// Parses addresses in every runtime: URL.canParse and URL.parse are missing in React Native and in browsers before 2024.

export function parseUrl(url: string, base?: URL): URL | null {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
}
