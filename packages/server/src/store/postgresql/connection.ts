// One connection to PostgreSQL, from a DATABASE_URL: what pg is told, and which host it is made to.
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { errorCode } from '../../error-code.ts';
import { DatabaseUrlError } from '../unavailable.ts';

/**
 * A transaction of an instance that is gone without a word, and may have the turn at writing, is ended by the server after
 * so long, in milliseconds: before the others have waited for that for too long. One that comes back runs it again.
 */
const IDLE_IN_TRANSACTION_MS = 1000;
/** How long an answer is waited for where the server is told no limit, and how much longer than that elsewhere, in milliseconds. */
const ANSWER_MS = 2500;
const ANSWER_GRACE_MS = 1000;

/** OID of bigint. All of ours are times in milliseconds and counts, far below 2^53. */
const BIGINT = 20;

/**
 * What pg needs for a connection; host and port are for the caller to choose. `isPatient` is for what takes its time: no
 * statement has a limit, neither there nor here.
 */
export function connectionOptions(address: PostgresAddress, { isPatient = false } = {}): pg.ClientConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(BIGINT, Number);
  const { user, password, database, options, statementTimeoutMs } = address;
  const isLimited = !isPatient && statementTimeoutMs > 0;
  return {
    user,
    // As a function it is in no dump of this object; and without one, pg would look for a password of its own.
    password: () => password ?? '',
    database,
    ssl: tlsOptions(address),
    application_name: address.applicationName,
    ...(options !== null && { options }),
    ...(isLimited && {
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    }),
    // Without one, all writes would wait for what a host owes that is gone without a word.
    ...(!isPatient && { query_timeout: isLimited ? statementTimeoutMs + ANSWER_GRACE_MS : ANSWER_MS }),
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    types,
  };
}

/** As libpq understands sslmode: `require` encrypts, `verify-ca` asks who signed, `verify-full` also for which host. */
function tlsOptions({ tlsMode, tlsFiles }: PostgresAddress): false | ConnectionOptions {
  if (tlsMode === null || tlsMode === 'disable') return false;
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

/** A connection of its own, beside any pool, from the first host that can be used. The caller ends it. */
export async function connect(address: PostgresAddress, options: { isPatient?: boolean } = {}): Promise<pg.Client> {
  let failure: unknown;
  for (const { host, port } of address.hosts) {
    const client = new pg.Client({ ...connectionOptions(address, options), host, port });
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

/** With several hosts one may be a standby, or have become one. */
export async function refuseReadOnly(client: pg.ClientBase, { hosts }: PostgresAddress): Promise<void> {
  if (hosts.length < 2) return;
  const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
  if (rows[0]?.transaction_read_only === 'on') throw new ReadOnlyHostError('This host takes no writes.');
}

export class ReadOnlyHostError extends Error {
  override readonly name = 'ReadOnlyHostError';
}
