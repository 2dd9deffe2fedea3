/**
 * Parses a postgresql:// URL as PostgreSQL's own tools do (libpq, "Connection URIs"), with several hosts. It opens and
 * reads nothing. In a malformed URL the password may be anywhere, so no problem repeats any of it.
 */
import { bracketed, isHost, isLoopback } from './address.ts';

/** How the connection is encrypted and the server is verified, in libpq's words. */
type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

export interface PostgresAddress {
  /** Tried one after another. A name that begins with / is the folder of a Unix socket. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly database: string;
  readonly user: string;
  /** Null if the URL has none. */
  readonly password: string | null;
  /** Null if the URL doesn't say. Then the connection is not encrypted. */
  readonly tlsMode: TlsMode | null;
  /** Paths of PEM files: who signs the server's certificate, and this client's own certificate and key. */
  readonly tlsFiles: { readonly rootCert?: string; readonly cert?: string; readonly key?: string };
  /** The maximum number of connections. */
  readonly poolSize: number;
  readonly connectTimeoutMs: number;
  /** The time limit of a statement on the server. 0 is no limit. */
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
  /** Command-line options for the server: `-c search_path=auth`, or `--cluster=name` for CockroachDB. */
  readonly options: string | null;
  /** The URL without its password and parameters, for messages. */
  readonly shown: string;
}

const DEFAULT_PORT = 5432;

/** The known parameters after the `?`. Each returns what is wrong with a value, or null. */
const parameters: Readonly<Record<string, (value: string) => string | null>> = {
  sslmode: (value) => {
    if (['allow', 'prefer'].includes(value)) {
      return 'allow and prefer would go on unencrypted in silence: write require, verify-ca or verify-full, or disable';
    }
    return isTlsMode(value) ? null : 'is none of disable, require, verify-ca, verify-full';
  },
  sslrootcert: isPath,
  sslcert: isPath,
  sslkey: isPath,
  pool_size: wholeNumber(1, 1000),
  connect_timeout: wholeNumber(1, 60),
  statement_timeout: wholeNumber(0, 3_600_000),
  application_name: (value) => (/^[ -~]{1,63}$/.test(value) ? null : 'is not 1 to 63 ASCII characters'),
  options: (value) => (value === '' || /\p{Cc}/u.test(value) ? 'is empty or has a control character' : null),
  target_session_attrs: (value) =>
    value === 'read-write' ? null : 'can only be read-write: a server that takes no writes is of no use',
  host: (value) => (value.startsWith('/') && !/\p{Cc}/u.test(value) ? null : 'is no folder of a Unix socket'),
  port: wholeNumber(1, 65_535),
};

/** The parts of a postgresql:// or postgres:// URL, or why it is none. */
export function parsePostgresUrl(url: string): PostgresAddress | { problem: string } {
  // The last @ before the path ends the password, because passwords often contain an unescaped one.
  const [, userInfo, authority = '', path = '', query = ''] =
    /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^/?#@]*))?(?:\?([^#]*))?$/i.exec(url) ?? [];
  if (/[#\s]/.test(url) || !/^postgres(?:ql)?:\/\//i.test(url) || (authority === '' && !/[?&]host=/.test(url))) {
    return { problem: `is no URL of the form ${form}; ${escaping}` };
  }
  const [user, password] = splitOnce(userInfo ?? '', ':').map((part) => (part === undefined ? null : decode(part)));
  const database = decode(path);
  if (user === undefined || password === undefined || database === undefined) return { problem: escaping };
  if (!user) return { problem: `names no user: ${form}` };
  if (!database) return { problem: `names no database: ${form}` };

  const given = readParameters(query);
  if ('problem' in given) return given;
  const { host, port, sslmode, sslrootcert, sslcert, sslkey, ...rest } = given.values;
  const hosts = host === undefined ? parseHosts(authority) : [{ host, port: Number(port ?? DEFAULT_PORT) }];
  if (hosts === null) return { problem: `has a host or port that is none; ${form}, with several hosts between commas` };
  if (host === undefined ? port !== undefined : authority !== '') {
    return {
      problem: 'has host= or port= beside a host: both are for a Unix socket, postgresql://USER@/DATABASE?host=/FOLDER',
    };
  }
  if (password?.includes('\0') || user.includes('\0') || database.includes('\0')) return { problem: 'has a NUL in it' };
  const tlsMode = isTlsMode(sslmode) ? sslmode : null;
  const needsTls = Object.entries({ sslrootcert, sslcert, sslkey }).find(([, value]) => value !== undefined);
  if (needsTls && (tlsMode === null || tlsMode === 'disable')) {
    return { problem: `${needsTls[0]} means nothing without sslmode: write sslmode=verify-full` };
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) return { problem: 'sslcert and sslkey go together' };
  if (tlsMode === 'verify-ca' && (sslrootcert ?? 'system') === 'system') {
    return { problem: 'sslmode=verify-ca needs the sslrootcert of an authority of your own; else write verify-full' };
  }
  const shownHosts = hosts.map((each) => `${bracketed(each.host)}:${each.port}`);
  return {
    hosts,
    database,
    user,
    password: password ?? null,
    tlsMode,
    tlsFiles: {
      ...(sslrootcert !== undefined && sslrootcert !== 'system' && { rootCert: sslrootcert }),
      ...(sslcert !== undefined && { cert: sslcert }),
      ...(sslkey !== undefined && { key: sslkey }),
    },
    poolSize: Number(rest.pool_size ?? 10),
    connectTimeoutMs: Number(rest.connect_timeout ?? 2) * 1000,
    statementTimeoutMs: Number(rest.statement_timeout ?? 1500),
    applicationName: rest.application_name ?? 'backchannel',
    options: rest.options ?? null,
    shown: `postgresql://${encodeURIComponent(user)}@${shownHosts.join(',')}/${encodeURIComponent(database)}`,
  };
}

/** Whether the connection stays on this machine. */
export const isLocalDatabase = ({ hosts }: PostgresAddress): boolean =>
  hosts.every(({ host }) => host.startsWith('/') || isLoopback(host));

const form = 'postgresql://USER:PASSWORD@HOST:5432/DATABASE';
const escaping =
  'in user, password and database, anything but letters, digits, - . _ ~ is written in percent encoding (@ is %40, / is %2F, # is %23, % is %25)';

function readParameters(query: string): { values: Record<string, string> } | { problem: string } {
  const values: Record<string, string> = {};
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const [name = '', text = ''] = splitOnce(pair, '=');
    const judge = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (!judge)
      return { problem: `has an unknown parameter after the ?; known are ${Object.keys(parameters).join(', ')}` };
    const value = decode(text);
    const problem = value === undefined ? escaping : name in values ? 'is there twice' : judge(value);
    if (problem !== null || value === undefined) return { problem: `${name}: ${problem}` };
    values[name] = value;
  }
  return { values };
}

function parseHosts(authority: string): { host: string; port: number }[] | null {
  const hosts = authority.split(',').map((entry) => {
    const [, inBrackets, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(entry) ?? [];
    const host = inBrackets ?? plain;
    const port = digits === undefined ? DEFAULT_PORT : Number(digits);
    return isHost(host) && port >= 1 && port <= 65_535 ? { host, port } : null;
  });
  return hosts.every((each) => each !== null) ? hosts : null;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function wholeNumber(min: number, max: number) {
  const problem = `is not a whole number from ${min} to ${max}`;
  return (value: string) =>
    /^(?:0|[1-9]\d{0,8})$/.test(value) && Number(value) >= min && Number(value) <= max ? null : problem;
}

function isPath(value: string): string | null {
  return value === '' || /\p{Cc}/u.test(value) ? 'names no file' : null;
}

function isTlsMode(value: string | undefined): value is TlsMode {
  return value === 'disable' || value === 'require' || value === 'verify-ca' || value === 'verify-full';
}
