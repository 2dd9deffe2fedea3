// What may stand after the ? of a postgresql:// URL, and the variables in which PostgreSQL's own tools look for the rest.

/** How the connection is encrypted and the server is verified, in libpq's words. */
export type TlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

export const channelBindings = ['disable', 'prefer', 'require'] as const;

/** The known parameters after the `?`. Each returns what is wrong with a value, or null. */
const parameters: Readonly<Record<string, (value: string) => string | null>> = {
  host: isText,
  port: (value) => (/^\d{1,5}(?:,\d{1,5})*$/.test(value) ? null : 'is no port, and no list of ports'),
  user: isText,
  password: isText,
  dbname: isText,
  sslmode: (value) => {
    if (['allow', 'prefer'].includes(value)) {
      return 'allow and prefer would go on unencrypted in silence: write require, verify-ca or verify-full, or disable';
    }
    return isTlsMode(value) ? null : 'is none of disable, require, verify-ca, verify-full';
  },
  sslrootcert: isText,
  sslcert: isText,
  sslkey: isText,
  channel_binding: oneOf(...channelBindings),
  pool_size: wholeNumber(1, 1000),
  connect_timeout: wholeNumber(1, 60),
  statement_timeout: wholeNumber(0, 3_600_000),
  application_name: (value) => (/^[ -~]{1,63}$/.test(value) ? null : 'is not 1 to 63 ASCII characters'),
  options: isText,
  target_session_attrs: (value) =>
    value === 'read-write' ? null : 'can only be read-write: a server that takes no writes is of no use',
  // Accepted because they ask for what is done in any case.
  client_encoding: oneOf('UTF8', 'utf8', 'auto'),
  gssencmode: oneOf('disable', 'prefer'),
  uselibpqcompat: oneOf('true'),
};

/** The variables that PostgreSQL's own tools read for what the URL does not say. */
const variables: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGPORT: 'port',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGDATABASE: 'dbname',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGCHANNELBINDING: 'channel_binding',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGAPPNAME: 'application_name',
  PGOPTIONS: 'options',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
};

/** A postgresql:// URL with what these variables say, as further parameters. An empty variable counts as not set. */
export function withVariables(url: string, env: NodeJS.ProcessEnv): string {
  if (!/^postgres(?:ql)?:/i.test(url)) return url;
  let text = url;
  for (const name of Object.keys(variables)) {
    const value = env[name];
    if (value) text += `${text.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`;
  }
  return text;
}

/** What a value or a part of a URL with a stray character is told. */
export const escaping =
  'in user, password and database, anything but letters, digits, - . _ ~ is written in percent encoding (@ is %40, / is %2F, # is %23, % is %25)';

export type Values = Record<string, string>;

export interface Given {
  values: Values;
  /** What variables say. */
  inherited: Values;
}

export function readParameters(query: string): Given | { problem: string } {
  const given: Given = { values: {}, inherited: {} };
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const [written, text = ''] = splitOnce(pair, '=');
    const inherited = Object.hasOwn(variables, written) ? variables[written] : undefined;
    const name = inherited ?? written;
    const values = inherited === undefined ? given.values : given.inherited;
    const judge = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (!judge) {
      const shown = /^\w{1,40}$/.test(name) ? ` ${name}` : '';
      return {
        problem: `has an unknown parameter${shown} after the ?; known are ${Object.keys(parameters).join(', ')}`,
      };
    }
    const value = decode(text);
    const problem = value === undefined ? escaping : name in values ? 'is there twice' : judge(value);
    if (problem !== null || value === undefined) return { problem: `${written}: ${problem}` };
    values[name] = value;
  }
  return given;
}

export function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

export function decode(text: string): string | undefined {
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

function oneOf(...allowed: string[]) {
  return (value: string) => (allowed.includes(value) ? null : `can only be ${allowed.join(' or ')}`);
}

function isText(value: string): string | null {
  return value === '' || /\p{Cc}/u.test(value) ? 'is empty or has a control character' : null;
}

export function isTlsMode(value: string | undefined): value is TlsMode {
  return value === 'disable' || value === 'require' || value === 'verify-ca' || value === 'verify-full';
}
