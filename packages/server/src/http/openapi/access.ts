// How callers show who they are, for the document: which credentials open an operation, and what it does to cookies.
import type { oas31 } from 'zod-openapi';
import { DAY_MS } from '../../clock.ts';
import { type Access, type OperationType, scopesFor } from '../../services/access/policy.ts';
import { DEVICE_MAX_AGE_MS } from '../../services/devices.ts';
import type { Meta } from '../../trpc.ts';
import type { Cookie, Cookies } from '../cookies.ts';

/** Any one of a list opens the operation; an empty list leaves it open to all. */
export const securityOf: Record<Access, oas31.SecurityRequirementObject[]> = {
  anyone: [],
  operator: [{ session: [] }, { token: [] }],
  session: [{ session: [] }],
  fresh: [{ session: [] }],
};

/** The same in words, with what a list of schemes cannot say: which tokens, and how fresh a session. */
export const callersOf = (type: OperationType): Record<Access, string> => ({
  anyone: 'For anyone.',
  operator: `For a session, or a token of scope ${scopesFor(type)
    .map((scope) => `\`${scope}\``)
    .join(' or ')}.`,
  session: 'For a session, and for no token.',
  fresh: 'For a session that showed the password within STEP_UP_MINUTES, and for no token.',
});

/** What an operation does to cookies. OpenAPI has one entry for a header, however often that is there. */
export function cookieHeaders(cookies: Cookies): Record<NonNullable<Meta['cookie']>, oas31.HeaderObject> {
  const token = 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl';
  const example = (cookie: Cookie | null, days: number) =>
    cookie && { value: days > 0 ? cookie.set(token, days * DAY_MS) : cookie.clear() };
  const withPass = (days: number) => {
    const [session, pass] = [example(cookies.session, days), example(cookies.pass, days)];
    return { ...(session && { session }), ...(pass && { pass }) };
  };
  const passed = cookies.pass ? 'the pass, which is the same for the subdomains of COOKIE_DOMAIN; ' : '';
  return {
    sets: {
      description:
        `One for each cookie: the session, until its absolute end; ${passed}and what the browser is known by from now ` +
        'on, so that nobody elsewhere can lock it out with wrong passwords.',
      required: true,
      schema: { type: 'string' },
      examples: { ...withPass(30), device: { value: cookies.device.set(token, DEVICE_MAX_AGE_MS) } },
    },
    clears: {
      description: 'Takes the session from a browser that has none any more; it is not sent to other callers.',
      schema: { type: 'string' },
      examples: withPass(0),
    },
  };
}

export const tokenScheme: oas31.SecuritySchemeObject = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'bct_…',
  description: 'An API token from `POST /auth/tokens`. It decides alone: a cookie beside it is ignored.',
};

export function sessionScheme(cookieName: string): oas31.SecuritySchemeObject {
  return {
    type: 'apiKey',
    in: 'cookie',
    name: cookieName,
    description: 'The cookie that `POST /auth/login` sets. A browser keeps it and sends it with each call by itself.',
  };
}
