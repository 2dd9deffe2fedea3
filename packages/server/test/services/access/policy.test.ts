// What a credential opens: the rules alone, each against all kinds of caller. parity.test.ts shows that both faces obey them.
import { describe, expect, test } from 'vitest';
import {
  cookiesValidFor,
  isTokenValidFor,
  refusalFor,
  scopeAllows,
  scopesFor,
  tokenOpensHost,
  tokenScopes,
} from '../../../src/services/access/policy.ts';
import type { Principal } from '../../../src/services/access/principal.ts';
import type { SessionRow, TokenRow } from '../../../src/store/entities.ts';

const session: Principal = { kind: 'session', session: {} as SessionRow };
const tokenOf = (scope: string): Principal => ({ kind: 'token', token: { scope } as TokenRow });

test('a pass opens nothing of the API', () => {
  expect(cookiesValidFor.api).toEqual(['session']);
  expect(cookiesValidFor['forward-auth']).toEqual(['session', 'pass']);
});

test('at forward-auth only the scope proxy is valid, at the API every scope may knock', () => {
  const validAt = (purpose: 'api' | 'forward-auth') =>
    tokenScopes.filter((scope) => isTokenValidFor({ scope }, purpose));
  expect(validAt('forward-auth')).toEqual(['proxy']);
  expect(validAt('api')).toEqual(['read', 'full', 'proxy']);
});

test('read allows queries, full allows everything, proxy and unknown scopes allow nothing', () => {
  expect(scopesFor('query')).toEqual(['read', 'full']);
  expect(scopesFor('mutation')).toEqual(['full']);
  expect(scopeAllows('admin', 'query')).toBe(false);
});

describe('who may call', () => {
  test.each([
    ['anyone', 'query', [null, null, null, null]],
    ['anyone', 'mutation', [null, null, null, null]],
    ['operator', 'query', [null, null, null, 'scope']],
    ['operator', 'mutation', [null, 'scope', null, 'scope']],
    ['session', 'query', [null, 'no-tokens', 'no-tokens', 'no-tokens']],
    ['session', 'mutation', [null, 'no-tokens', 'no-tokens', 'no-tokens']],
    ['fresh', 'mutation', [null, 'no-tokens', 'no-tokens', 'no-tokens']],
  ] as const)('%s %s: a session, then tokens of scope read, full, proxy', (access, type, refusals) => {
    const callers = [session, ...tokenScopes.map(tokenOf)];
    expect(callers.map((principal) => refusalFor(principal, { access, type }))).toEqual(refusals);
  });
});

test('a token with hosts opens exactly those, and none if no proxy has named the host', () => {
  const limited = { hosts: '["photos.example.com"]' };
  expect(tokenOpensHost(limited, 'photos.example.com')).toBe(true);
  for (const host of ['example.com', 'x.photos.example.com', 'photos.example.com.', null]) {
    expect(tokenOpensHost(limited, host), String(host)).toBe(false);
  }
  for (const host of ['anything.test', null]) expect(tokenOpensHost({ hosts: '[]' }, host)).toBe(true);
});
