/** The schema of all settings together: text in, values out, and what must hold between two settings. */
import * as z from 'zod';
import { isUnder } from './address.ts';
import { isTooWide } from './public-suffix.ts';
import { type Field, table, type Values } from './settings.ts';

type Shape = { [F in Field]: (typeof table)[F]['schema'] };

const shape = Object.fromEntries(Object.entries(table).map(([field, { schema }]) => [field, schema])) as Shape;

/** Issues are in our own words and never contain a secret. Their path is a field of Config. */
export const Environment = z.object(shape).check(
  rule('sessionExpireMinutes', ['sessionMaxDays'], {
    holds: (env) => env.sessionExpireMinutes <= env.sessionMaxDays * 24 * 60,
    problem:
      'is longer than SESSION_MAX_DAYS, so that no session could ever be idle for so long: lower it or raise that',
  }),
  rule('metricsPort', ['port'], {
    holds: (env) => env.metricsPort === null || env.metricsPort === 0 || env.metricsPort !== env.port,
    problem: 'is PORT, too: metrics have a port of their own',
  }),
  rule('secretKeys', ['databaseUrl'], {
    holds: (env) => env.databaseUrl?.engine !== 'postgresql' || env.secretKeys !== null,
    problem: 'is not set, and with PostgreSQL it has to be: all instances sign with the same key',
  }),
  rule('cookieDomain', ['publicUrl'], {
    holds: (env) => env.cookieDomain === null || isHttpsUnder(env.publicUrl, env.cookieDomain),
    problem: 'needs PUBLIC_URL to be https and at this domain or under it, such as PUBLIC_URL=https://auth.example.com',
  }),
  rule('cookieDomain', ['publicUrl'], {
    holds: ({ cookieDomain, publicUrl }) => {
      if (cookieDomain === null || publicUrl === null) return true;
      const { hostname } = new URL(publicUrl);
      return !isUnder(hostname, cookieDomain) || !isTooWide(cookieDomain, hostname);
    },
    problem:
      'is above a public suffix, under which strangers have names: use the domain below that suffix, such as example.com',
  }),
);

/** A rule about `field` and others. It applies only if these are valid, but even if further settings are not. */
function rule(
  field: Field,
  others: readonly Field[],
  { holds, problem }: { holds: (env: Values) => boolean; problem: string },
) {
  const about: readonly unknown[] = [field, ...others];
  return z.refine<Values>(holds, {
    path: [field],
    error: problem,
    when: ({ issues }) => !issues.some((issue) => about.includes(issue.path?.[0])),
  });
}

function isHttpsUnder(publicUrl: string | null, domain: string): boolean {
  if (publicUrl === null) return false;
  const { protocol, hostname } = new URL(publicUrl);
  return protocol === 'https:' && isUnder(hostname, domain);
}
