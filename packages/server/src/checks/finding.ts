// A finding is one line of `check-config`. Its text never contains a secret.
import { statSync } from 'node:fs';

export interface Finding {
  /** `fault`: the server would not start, or nobody could sign in. */
  level: 'ok' | 'advice' | 'fault';
  /** The variable, or another subject such as `database`. */
  about: string;
  text: string;
}

export const ok = (about: string, text: string): Finding => ({ level: 'ok', about, text });
export const isFault = ({ level }: Finding): boolean => level === 'fault';

export const advice = (about: string, text: string): Finding => ({ level: 'advice', about, text });

/** A fault from one of the server's own errors. Their messages begin with the variable. */
export function faultOf(error: Error): Finding {
  const [about = '', ...text] = error.message.split(': ');
  return { level: 'fault', about, text: text.join(': ') };
}

/** Advice if other users of this machine have access to a private file or folder. */
export function checkMode(about: string, path: string, { most }: { most: 0o600 | 0o700 }): Finding[] {
  // Windows has no modes. What Node reports there means nothing.
  const stat = process.platform === 'win32' ? undefined : statSync(path, { throwIfNoEntry: false });
  if (!stat || (stat.mode & 0o077) === 0) return [];
  const mode = (stat.mode & 0o777).toString(8);
  return [
    advice(about, `other users of this machine can access ${path} (mode ${mode}): chmod ${most.toString(8)} ${path}`),
  ];
}
