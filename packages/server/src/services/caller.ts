// Who is calling, in the form that is kept in sessions and events. No control characters get past this file.
import { escapeControlCharacters, hideTokens } from '../text.ts';

const USER_AGENT_MAX_CHARACTERS = 512;

export interface Caller {
  readonly ip: string | null;
  readonly userAgent: string | null;
  /** The id of the request, for the log. It is not stored. */
  readonly requestId?: string | undefined;
}

/** The caller as events and sessions keep it. The User-Agent is escaped and cut, and has no API token in it. */
export function describeCaller(options: {
  ip: string | null;
  userAgent: string | undefined;
  requestId?: string | undefined;
}): Caller {
  const { ip, userAgent, requestId } = options;
  return {
    ip,
    userAgent: userAgent ? escapeControlCharacters(hideTokens(userAgent)).slice(0, USER_AGENT_MAX_CHARACTERS) : null,
    requestId,
  };
}
