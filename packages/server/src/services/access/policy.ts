// What a credential opens: where each kind is valid, and what a token's scope allows. Pure rules, without I/O.
import type { TokenRow } from '../../store/entities.ts';
import type { Principal, Purpose } from './principal.ts';

/** What a token opens: queries of this API, all of this API that tokens may use, or applications at forward-auth. */
export const tokenScopes = ['read', 'full', 'proxy'] as const;
export type TokenScope = (typeof tokenScopes)[number];

/**
 * Who may call a procedure: anyone; the operator, by a session or by a token whose scope allows it; a session only; or a
 * recently authenticated session (within STEP_UP_MINUTES).
 */
export type Access = 'anyone' | 'operator' | 'session' | 'fresh';
export type OperationType = 'query' | 'mutation';

/**
 * The kinds of cookie that are valid for a purpose, in the order they are tried. A pass is visible to every application
 * that it opens, so it must open nothing of this server's API.
 */
export const cookiesValidFor: Readonly<Record<Purpose, readonly ('session' | 'pass')[]>> = {
  api: ['session'],
  'forward-auth': ['session', 'pass'],
};

/** Whether a token is valid for a purpose at all. What its scope allows of the API is for `scopeAllows`. */
export const isTokenValidFor = (token: Pick<TokenRow, 'scope'>, purpose: Purpose): boolean =>
  purpose === 'api' || token.scope === 'proxy';

/**
 * Whether a token's scope allows operations of this type. A `proxy` token opens none: an application that sees it gets no
 * key to BackChannel.
 */
export function scopeAllows(scope: string, type: OperationType): boolean {
  if (scope === 'full') return true;
  return scope === 'read' && type === 'query';
}

/** The scopes that allow operations of this type. */
export const scopesFor = (type: OperationType): TokenScope[] => tokenScopes.filter((scope) => scopeAllows(scope, type));

/** Why a principal may not call an operation; null if it may. Freshness needs the database and is checked elsewhere. */
export function refusalFor(
  principal: Principal,
  { access, type }: { access: Access; type: OperationType },
): 'no-tokens' | 'scope' | null {
  if (principal.kind === 'session' || access === 'anyone') return null;
  // A token cannot create tokens, change the password or step up: a leaked one must not be able to outlive its revocation.
  if (access !== 'operator') return 'no-tokens';
  return scopeAllows(principal.token.scope, type) ? null : 'scope';
}

/** The hosts that a `proxy` token is limited to; empty for any. */
export const tokenHosts = (token: Pick<TokenRow, 'hosts'>): string[] => JSON.parse(token.hosts);

/** Whether a `proxy` token opens a host; `host` is null if no trusted proxy has reported one. */
export function tokenOpensHost(token: Pick<TokenRow, 'hosts'>, host: string | null): boolean {
  const hosts = tokenHosts(token);
  return hosts.length === 0 || (host !== null && hosts.includes(host));
}
