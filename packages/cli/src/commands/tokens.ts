// `backchannel tokens`: API tokens, made, seen and ended by whoever has the machine.
import type { toToken } from '@backchannel/server/views';
import { defineCommand, defineGroup } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { badUsage, refusal } from '../failure.ts';
import { localTime } from '../local-time.ts';
import { withServices } from '../services.ts';
import { listing } from '../table.ts';

type Token = ReturnType<typeof toToken>;

const columns = {
  ID: ({ id }) => id,
  NAME: ({ name }) => name,
  SCOPE: ({ scope }) => scope,
  HOSTS: ({ hosts }) => hosts.join(' ') || null,
  SECRET: ({ prefix }) => `${prefix}…`,
  CREATED: ({ createdAt }) => localTime(createdAt),
  'LAST USED': ({ lastUsedAt }) => localTime(lastUsedAt),
  FROM: ({ lastUsedIp }) => lastUsedIp,
  EXPIRES: ({ expiresAt }) => localTime(expiresAt),
} satisfies Record<string, (token: Token) => string | null>;

const list = defineCommand({
  usage: 'tokens list',
  about:
    'Prints the live API tokens, the newest first. No secret is ever shown again. Times are local; with --json they are\n' +
    'ISO 8601 in UTC.',
  options: {},
  run: async (_, { context }) => {
    const { toToken } = await import('@backchannel/server/views');
    const live = await withServices(readConfig(context), ({ tokens }) => tokens.list());
    const found = live.map(toToken);
    const remarks = found.length === 0 ? ['There is no token.'] : [];
    return { text: listing(found, columns), json: { tokens: found }, remarks };
  },
});

const create = defineCommand({
  usage: 'tokens create --name NAME --scope read|full|proxy',
  about:
    'Makes an API token and prints its secret, this once. `read` answers queries of the API, `full` does all that a token\n' +
    'may do there, `proxy` opens applications behind forward-auth and nothing else.',
  options: {
    name: { type: 'string', value: 'NAME', about: 'what to call it' },
    scope: {
      type: 'string',
      value: 'SCOPE',
      choices: ['read', 'full', 'proxy'],
      about: 'what it opens: read, full or proxy',
    },
    host: {
      type: 'string',
      value: 'HOST',
      multiple: true,
      about: 'of proxy: a host that it opens; several, or none for all',
    },
    'expires-in-days': {
      type: 'string',
      value: 'N',
      about: 'end it after so many days, 1 to 3650; else it has no end',
    },
  },
  run: async (values, { context }) => {
    const wanted = await readNewToken(values);
    const { toToken } = await import('@backchannel/server/views');
    const made = await withServices(readConfig(context), ({ tokens }) =>
      tokens.create({ ...wanted, caller: null, sessionId: null }),
    );
    // Null would be for a session that made it and ended meanwhile.
    if (!made) throw refusal('The token could not be made.');
    const token = toToken(made.token);
    const { secret } = made;
    return { text: secret, json: { token, secret }, remarks: [describe(token), 'Its secret is shown this once.'] };
  },
});

const revoke = defineCommand({
  usage: 'tokens revoke ID',
  about: 'Ends an API token for good. A running server refuses it within one second.',
  options: {},
  argument: 'ID',
  run: async (_, { argument: id, context }) => {
    if (id === undefined) throw badUsage('tokens revoke takes an ID');
    const isEnded = await withServices(readConfig(context), ({ tokens }) => tokens.revoke(id, null));
    if (!isEnded) throw refusal('There is no live token of this id: backchannel tokens list');
    return { text: '1 token ended', json: { revoked: 1 } };
  },
});

export const command = defineGroup({
  usage: 'tokens',
  about: 'API tokens: for programs that call the API, or applications behind forward-auth.',
  commands: {
    list: { about: 'list them', command: list },
    create: { about: 'make one, and print its secret', command: create },
    revoke: { about: 'end one', command: revoke },
  },
});

const optionNames: Readonly<Record<string, string>> = { hosts: 'host', expiresInDays: 'expires-in-days' };

/** What is asked for, by the API's own rules. @throws Failure with exit code 2 and the first thing that is wrong. */
async function readNewToken(values: { name?: string; scope?: string; host?: string[]; 'expires-in-days'?: string }) {
  const { NewToken } = await import('@backchannel/server/new-token');
  const { name, scope, host, 'expires-in-days': days } = values;
  if (name === undefined || scope === undefined) throw badUsage('tokens create needs --name NAME and --scope SCOPE');
  // "1e3" and " 5" are more likely slips than numbers.
  if (days !== undefined && !/^\d+$/.test(days)) throw badUsage('--expires-in-days takes a whole number');
  const parsed = NewToken.safeParse({
    name,
    scope,
    ...(host && { hosts: host }),
    ...(days !== undefined && { expiresInDays: Number(days) }),
  });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = String(issue?.path[0]);
    throw badUsage(`--${optionNames[field] ?? field}: ${issue?.message}`);
  }
  const { hosts = [], expiresInDays = null, ...rest } = parsed.data;
  return { ...rest, hosts, expiresInDays };
}

function describe({ id, name, scope, hosts, expiresAt }: Token): string {
  const end = expiresAt === null ? 'has no end' : `ends ${localTime(expiresAt)}`;
  const where = hosts.length > 0 ? ` at ${hosts.join(', ')}` : '';
  return `Token ${id} (${JSON.stringify(name)}, ${scope}${where}) ${end}.`;
}
