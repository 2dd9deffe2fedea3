// Who is calling, and what they present to prove it. It knows no database and decides nothing.
import type { SessionRow, TokenRow } from '../../store/entities.ts';

/**
 * What a request presents. A bearer token of ours decides alone. Otherwise the values of cookies count; a header may carry
 * several of one name.
 */
export interface Credential {
  readonly bearer: string | null;
  readonly sessionCookies: readonly string[];
  readonly passCookies: readonly string[];
}

/** The kinds of credential. One is never accepted as another. */
export type CredentialKind = 'session' | 'pass' | 'token';

/** What the credential is for: this server's own API and pages, or an application behind a proxy. */
export type Purpose = 'api' | 'forward-auth';

/** The operator's browser, by its session, or a program, by its token. */
export type Principal = SessionPrincipal | TokenPrincipal;
export interface SessionPrincipal {
  readonly kind: 'session';
  readonly session: SessionRow;
}
export interface TokenPrincipal {
  readonly kind: 'token';
  readonly token: TokenRow;
}

export const principalId = (principal: Principal): string =>
  principal.kind === 'session' ? principal.session.id : principal.token.id;
