// One connection to PostgreSQL from a DATABASE_URL: the options for pg, and the choice of a host.
import type { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { errorCode } from '../../error-code.ts';
import { DatabaseUrlError } from '../unavailable.ts';

/**
 * When PostgreSQL ends an idle transaction, in milliseconds. An instance that disappeared may hold the write lock, and this
 * releases it before the other instances run out of time. If the instance comes back, it runs its transaction again.
 */
const IDLE_IN_TRANSACTION_MS = 1000;
/** How long to wait for a response if the server has no statement timeout, in milliseconds. */
const RESPONSE_MS = 2500;
/** How much longer than the server's statement timeout to wait for a response, in milliseconds. */
const RESPONSE_GRACE_MS = 1000;

/** OID of bigint. All bigints here are times in milliseconds or counts, far below 2^53. */
const BIGINT = 20;

/**
 * The options for pg, without host and port, which the caller chooses. `isPatient` is for long work: statements have no time
 * limit, neither on the server nor here.
 */
export function connectionOptions(address: PostgresAddress, { isPatient = false } = {}): pg.ClientConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(BIGINT, Number);
  const { user, password, database, options, statementTimeoutMs } = address;
  const isLimited = !isPatient && statementTimeoutMs > 0;
  return {
    user,
    // A function, so that no dump of this object contains the password. Without a password, pg would look for one itself.
    password: () => password ?? '',
    enableChannelBinding: address.channelBinding !== 'disable',
    database,
    ssl: tlsOptions(address),
    application_name: address.applicationName,
    ...(options !== null && { options }),
    ...(isLimited && {
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    }),
    // Without a timeout, all writes would wait for the response of a host that has disappeared.
    ...(!isPatient && { query_timeout: isLimited ? statementTimeoutMs + RESPONSE_GRACE_MS : RESPONSE_MS }),
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    types,
  };
}

/** sslmode as in libpq: `require` encrypts, `verify-ca` also checks the authority, `verify-full` also checks the host name. */
function tlsOptions({ tlsMode, tlsFiles, hosts }: PostgresAddress): false | ConnectionOptions {
  // PostgreSQL encrypts no Unix socket, so sslmode means nothing there.
  const isSocket = hosts.every(({ host }) => host.startsWith('/'));
  if (tlsMode === null || tlsMode === 'disable' || isSocket) return false;
  const { rootCert, cert, key } = tlsFiles;
  const isVerified = tlsMode !== 'require' || rootCert !== undefined;
  return {
    ...(rootCert !== undefined && { ca: readPem('sslrootcert', rootCert) }),
    ...(cert !== undefined && { cert: readPem('sslcert', cert) }),
    ...(key !== undefined && { key: readPem('sslkey', key) }),
    rejectUnauthorized: isVerified,
    ...(tlsMode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  };
}

function readPem(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new DatabaseUrlError(`DATABASE_URL: ${parameter}: ${path} cannot be read (${errorCode(error)}).`, {
      cause: error,
    });
  }
}

/**
 * With channel_binding=require, the server gets a proof of the password only if it is bound to this encrypted connection
 * (SCRAM-SHA-256-PLUS). The driver binds it where the server offers that, but does not insist.
 */
export class BindingClient extends pg.Client {
  constructor(options: pg.ClientConfig, { channelBinding, password, shown }: PostgresAddress) {
    let isBound = channelBinding !== 'require';
    super({
      ...options,
      password: () => {
        if (isBound) return password ?? '';
        throw new DatabaseUrlError(
          `DATABASE_URL: ${shown} offers no channel binding, which channel_binding=require asks for; take that out if you trust the certificate`,
        );
      },
    });
    // The driver's types leave it out.
    const { connection } = this as unknown as { connection: EventEmitter };
    connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => {
      isBound ||= mechanisms.includes('SCRAM-SHA-256-PLUS');
    });
  }
}

/** Opens a connection outside any pool, to the first host that can be used. The caller ends it. */
export async function connect(address: PostgresAddress, options: { isPatient?: boolean } = {}): Promise<pg.Client> {
  let failure: unknown;
  for (const { host, port } of address.hosts) {
    const client = new BindingClient({ ...connectionOptions(address, options), host, port }, address);
    client.on('error', () => {});
    try {
      await client.connect();
      await refuseReadOnly(client, address);
      return client;
    } catch (error) {
      failure = error;
      await client.end().catch(() => {});
    }
  }
  throw failure;
}

/** Rejects a connection to a standby. With several hosts, one may be a standby or become one. */
export async function refuseReadOnly(client: pg.ClientBase, { hosts }: PostgresAddress): Promise<void> {
  if (hosts.length < 2) return;
  const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
  if (rows[0]?.transaction_read_only === 'on') throw new ReadOnlyHostError('This host is read-only.');
}

export class ReadOnlyHostError extends Error {
  override readonly name = 'ReadOnlyHostError';
}
