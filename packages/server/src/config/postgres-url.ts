/**
 * Parses a postgresql:// URL as PostgreSQL's own tools do (libpq, "Connection URIs" and "Environment Variables"). It opens and
 * reads nothing. In a malformed URL the password may be anywhere, so no problem repeats more than the name of a parameter.
 * The driver's own parser knows one host only, reads files, and decodes a database name differently from libpq.
 */
import { bracketed, isHost, isLoopback } from './address.ts';
import {
  channelBindings,
  decode,
  escaping,
  type Given,
  isTlsMode,
  readParameters,
  splitOnce,
  type TlsMode,
  type Values,
} from './postgres-parameters.ts';

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
  /** Whether the proof of the password is bound to the encrypted connection: never, if the server can, or always. */
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  /** Command-line options for the server: `-c search_path=auth`, or `--cluster=name` for CockroachDB. */
  readonly options: string | null;
  /** The URL without its password and parameters, for messages. */
  readonly shown: string;
}

const DEFAULT_PORT = 5432;

/** The parts of a postgresql:// or postgres:// URL, or why it is none. */
export function parsePostgresUrl(url: string): PostgresAddress | { problem: string } {
  // The last @ before the path ends the password, because passwords often contain an unescaped one. Anywhere else an @ or a #
  // is a sign of a password that is not encoded.
  const [matched, userInfo = '', authority = '', path = '', query = ''] =
    /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^/?#@]*))?(?:\?([^#@]*))?$/i.exec(url) ?? [];
  if (matched === undefined || /\s/.test(url)) return { problem: `is no URL of the form ${form}; ${escaping}` };

  const given = readParameters(query);
  if ('problem' in given) return given;
  const [user, password = ''] = splitOnce(userInfo, ':');
  for (const [name, text] of Object.entries({ user, password, dbname: path })) {
    const value = decode(text);
    if (value === undefined) return { problem: escaping };
    if (value.includes('\0')) return { problem: 'has a NUL in it' };
    if (value === '') continue;
    if (name in given.values) return { problem: `${name}: is there twice` };
    given.values[name] = value;
  }
  if (authority !== '' && ('host' in given.values || 'port' in given.values)) {
    return { problem: `has host= or port= beside a host: write ${form}, or postgresql:///DATABASE?host=HOST` };
  }
  const values = withInherited(given, { hasHost: authority !== '' });
  if (!values.user) return { problem: `names no user: ${form}, or set PGUSER` };
  if (!values.dbname) return { problem: `names no database: ${form}, or set PGDATABASE` };

  const hosts =
    authority === '' ? pairHosts(values.host ?? 'localhost', values.port) : parseHosts(authority, values.port);
  if (hosts === null) return { problem: `has a host or port that is none; ${form}, with several hosts between commas` };
  const { sslmode, sslrootcert, sslcert, sslkey } = values;
  const tlsMode = isTlsMode(sslmode) ? sslmode : null;
  const needsTls = Object.entries({ sslrootcert, sslcert, sslkey }).find(([, value]) => value !== undefined);
  if (needsTls && (tlsMode === null || tlsMode === 'disable')) {
    return { problem: `${needsTls[0]} means nothing without sslmode: write sslmode=verify-full` };
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) return { problem: 'sslcert and sslkey go together' };
  if (tlsMode === 'verify-ca' && (sslrootcert ?? 'system') === 'system') {
    return { problem: 'sslmode=verify-ca needs the sslrootcert of an authority of your own; else write verify-full' };
  }
  const channelBinding = channelBindings.find((each) => each === values.channel_binding) ?? 'disable';
  if (channelBinding === 'require' && (tlsMode === null || tlsMode === 'disable')) {
    return { problem: 'channel_binding=require needs an encrypted connection: write sslmode=require or verify-full' };
  }
  const shownHosts = hosts.map(
    ({ host, port }) => `${host.startsWith('/') ? encodeURIComponent(host) : bracketed(host)}:${port}`,
  );
  return {
    hosts,
    database: values.dbname,
    user: values.user,
    password: values.password ?? null,
    tlsMode,
    tlsFiles: {
      ...(sslrootcert !== undefined && sslrootcert !== 'system' && { rootCert: sslrootcert }),
      ...(sslcert !== undefined && { cert: sslcert }),
      ...(sslkey !== undefined && { key: sslkey }),
    },
    channelBinding,
    poolSize: Number(values.pool_size ?? 10),
    connectTimeoutMs: Number(values.connect_timeout ?? 2) * 1000,
    statementTimeoutMs: Number(values.statement_timeout ?? 1500),
    applicationName: values.application_name ?? 'backchannel',
    options: values.options ?? null,
    shown: `postgresql://${encodeURIComponent(values.user)}@${shownHosts.join(',')}/${encodeURIComponent(values.dbname)}`,
  };
}

/** Whether the connection stays on this machine. */
export const isLocalDatabase = ({ hosts }: PostgresAddress): boolean =>
  hosts.every(({ host }) => host.startsWith('/') || isLoopback(host));

const form = 'postgresql://USER:PASSWORD@HOST:5432/DATABASE';

/** The values, and those of the variables for what the URL itself does not say. */
function withInherited({ values, inherited }: Given, { hasHost }: { hasHost: boolean }): Values {
  const { host, ...others } = inherited;
  return { ...others, ...(host !== undefined && !hasHost && { host }), ...values };
}

interface Host {
  host: string;
  port: number;
}

/** The hosts before the path. `ports` is PGPORT, for hosts without a port. */
function parseHosts(authority: string, ports: string | undefined): Host[] | null {
  const hosts = authority.split(',').map((entry) => {
    const [matched, inBrackets, plain = '', port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(entry) ?? [];
    return matched === undefined ? null : asHost(inBrackets ?? decode(plain) ?? '', port ?? ports);
  });
  return hosts.every((each) => each !== null) ? hosts : null;
}

/** Two lists of the same length, or one port for all hosts. */
function pairHosts(list: string, ports: string | undefined): Host[] | null {
  const [names, numbers] = [list.split(','), ports?.split(',') ?? []];
  if (numbers.length > 1 && numbers.length !== names.length) return null;
  const hosts = names.map((name, index) => asHost(name, numbers[index] ?? numbers[0]));
  return hosts.every((each) => each !== null) ? hosts : null;
}

function asHost(host: string, digits: string | undefined): Host | null {
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  const isKnown = host.startsWith('/') ? !/\p{Cc}/u.test(host) : isHost(host);
  return isKnown && port >= 1 && port <= 65_535 ? { host, port } : null;
}
