// Authentication in the OpenAPI document: which credentials an operation accepts, and which cookies it sets.
import type { oas31 } from 'zod-openapi';
import { DAY_MS } from '../../clock.ts';
import { type Access, type OperationType, scopesFor } from '../../services/access/policy.ts';
import { DEVICE_MAX_AGE_MS } from '../../services/devices.ts';
import type { Meta } from '../../trpc.ts';
import type { Cookie, Cookies } from '../cookies.ts';

/** Any one scheme in a list allows the operation. An empty list means that no credential is required. */
export const securityOf: Record<Access, oas31.SecurityRequirementObject[]> = {
  anyone: [],
  operator: [{ session: [] }, { token: [] }],
  session: [{ session: [] }],
  fresh: [{ session: [] }],
};

/** The same in words, with details that schemes cannot express: the token's scope and the session's last authentication. */
export const callersOf = (type: OperationType): Record<Access, string> => ({
  anyone: 'No credential required.',
  operator: `Requires a session, or a token with scope ${scopesFor(type)
    .map((scope) => `\`${scope}\``)
    .join(' or ')}.`,
  session: 'Requires a session. Tokens are not accepted.',
  fresh: 'Requires a session whose password was entered within STEP_UP_MINUTES. Tokens are not accepted.',
});

/** The Set-Cookie headers of an operation. OpenAPI has a single entry for a header, even if it appears several times. */
export function cookieHeaders(cookies: Cookies): Record<NonNullable<Meta['cookie']>, oas31.HeaderObject> {
  const token = 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl';
  const example = (cookie: Cookie | null, days: number) =>
    cookie && { value: days > 0 ? cookie.set(token, days * DAY_MS) : cookie.clear() };
  const withPass = (days: number) => {
    const [session, pass] = [example(cookies.session, days), example(cookies.pass, days)];
    return { ...(session && { session }), ...(pass && { pass }) };
  };
  const passed = cookies.pass ? 'the pass, the same for the subdomains of COOKIE_DOMAIN; ' : '';
  const renewed = cookies.pass ? 'cookies, the session and the pass for the subdomains of COOKIE_DOMAIN,' : 'cookie';
  return {
    sets: {
      description:
        `One for each cookie: the session, until its absolute end; ${passed}and the cookie that identifies this browser, ` +
        "so that other people's wrong passwords cannot lock it out.",
      required: true,
      schema: { type: 'string' },
      examples: { ...withPass(30), device: { value: cookies.device.set(token, DEVICE_MAX_AGE_MS) } },
    },
    renews: {
      description: `The session's ${renewed} with a new secret. Copies of the old one end.`,
      required: true,
      schema: { type: 'string' },
      examples: withPass(30),
    },
    clears: {
      description: "Removes the ended session's cookie from the browser. Not sent to other callers.",
      schema: { type: 'string' },
      examples: withPass(0),
    },
  };
}

export const tokenScheme: oas31.SecuritySchemeObject = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'bct_…',
  description: 'An API token from `POST /auth/tokens`. If you send one, cookies are ignored.',
};

export function sessionScheme(cookieName: string): oas31.SecuritySchemeObject {
  return {
    type: 'apiKey',
    in: 'cookie',
    name: cookieName,
    description: 'The cookie that `POST /auth/login` sets. Browsers store it and send it automatically.',
  };
}
