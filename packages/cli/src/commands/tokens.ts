// `backchannel tokens`: creates, lists and revokes API tokens. Access to the machine is enough.
import { commandLine } from '@backchannel/server/installation';
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
    'Prints the live API tokens, newest first, without their secrets. Times are local; with --json they are ISO 8601 in\n' +
    'UTC.',
  options: {},
  run: async (_, { context }) => {
    const { toToken } = await import('@backchannel/server/views');
    const live = await withServices(readConfig(context), ({ tokens }) => tokens.list());
    const found = live.map(toToken);
    const remarks = found.length === 0 ? ['There are no tokens.'] : [];
    return { text: listing(found, columns), json: { tokens: found }, remarks };
  },
});

const create = defineCommand({
  usage: 'tokens create --name NAME --scope read|full|proxy',
  about:
    'Creates an API token and prints its secret, which is not shown again. The scope `read` allows queries of the API,\n' +
    '`full` allows all that a token may do there, and `proxy` opens applications behind forward-auth and nothing else.',
  options: {
    name: { type: 'string', value: 'NAME', about: 'a name for the token' },
    scope: {
      type: 'string',
      value: 'SCOPE',
      choices: ['read', 'full', 'proxy'],
      about: 'what the token may do: read, full or proxy',
    },
    host: {
      type: 'string',
      value: 'HOST',
      multiple: true,
      about: 'with scope proxy: a host that the token opens; repeatable; default: all',
    },
    'expires-in-days': {
      type: 'string',
      value: 'N',
      about: 'expire after so many days, 1 to 3650; default: never',
    },
  },
  run: async (values, { context }) => {
    const wanted = await readNewToken(values);
    const { toToken } = await import('@backchannel/server/views');
    const created = await withServices(readConfig(context), ({ tokens }) =>
      tokens.create({ ...wanted, caller: null, session: null }),
    );
    // Null is for a token that a session creates, when that session ends at the same time.
    if (!created) throw refusal('Could not create the token.');
    const token = toToken(created.token);
    const { secret } = created;
    return { text: secret, json: { token, secret }, remarks: [describe(token), 'Its secret is not shown again.'] };
  },
});

const revoke = defineCommand({
  usage: 'tokens revoke ID',
  about: 'Revokes an API token for good. A running server rejects it within one second.',
  options: {},
  argument: 'ID',
  run: async (_, { argument: id, context }) => {
    if (id === undefined) throw badUsage('tokens revoke needs an ID');
    const isRevoked = await withServices(readConfig(context), ({ tokens }) => tokens.revoke(id, null));
    if (!isRevoked) throw refusal(`There is no live token with this ID. See: ${commandLine} tokens list`);
    return { text: '1 token revoked', json: { revoked: 1 } };
  },
});

export const command = defineGroup({
  usage: 'tokens',
  about: 'Lists, creates and revokes API tokens, for programs that call the API or applications behind forward-auth.',
  commands: {
    list: { about: 'list the tokens', command: list },
    create: { about: 'create a token, and print its secret', command: create },
    revoke: { about: 'revoke a token', command: revoke },
  },
});

const optionNames: Readonly<Record<string, string>> = { hosts: 'host', expiresInDays: 'expires-in-days' };

/** The new token, validated by the API's own rules. @throws Failure with exit code 2 that names the first problem. */
async function readNewToken(values: { name?: string; scope?: string; host?: string[]; 'expires-in-days'?: string }) {
  const { NewToken } = await import('@backchannel/server/new-token');
  const { name, scope, host, 'expires-in-days': days } = values;
  if (name === undefined || scope === undefined) throw badUsage('tokens create needs --name NAME and --scope SCOPE');
  // "1e3" and " 5" are more likely typing mistakes than numbers.
  if (days !== undefined && !/^\d+$/.test(days)) throw badUsage('--expires-in-days must be a whole number');
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
  const end = expiresAt === null ? 'never expires' : `expires ${localTime(expiresAt)}`;
  const where = hosts.length > 0 ? ` at ${hosts.join(', ')}` : '';
  return `Token ${id} (${JSON.stringify(name)}, ${scope}${where}) ${end}.`;
}
