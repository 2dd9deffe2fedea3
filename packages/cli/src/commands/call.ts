// `backchannel call`: calls any procedure of a server over the network. It opens no database and reads no configuration.
import { BackchannelError } from '@backchannel/client-sdk';
import { commandLine } from '@backchannel/server/installation';
import { escapeControlCharacters } from '@backchannel/server/text';
import { defineCommand, type Result } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { badUsage, refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';
import { isPiped, isTyped, readInput } from '../remote/input.ts';
import { issueLines } from '../remote/issues.ts';
import {
  describe,
  fieldsOf,
  findProcedure,
  listOf,
  loadProcedures,
  type Procedure,
  toJson,
} from '../remote/procedures.ts';
import { openClient, type RemoteOptions, readToken, readUrl, TOKEN_VARIABLE, URL_VARIABLE } from '../remote/server.ts';
import { version } from '../version.ts';

export const command = defineCommand({
  usage: 'call PROCEDURE [JSON]',
  about:
    'Calls a procedure of a server over the network, and prints the response as JSON. The input is JSON, @FILE, or - for a\n' +
    'pipe. It is validated before anything is sent. --list prints the procedures. Exit code 1 means that the server\n' +
    'rejected the call or could not be reached.',
  options: {
    url: { type: 'string', value: 'URL', about: `the address of the server; default: ${URL_VARIABLE}` },
    token: {
      type: 'string',
      value: 'TOKEN',
      about: `an API token; ${TOKEN_VARIABLE} is safer, because process lists show arguments`,
    },
    'token-file': { type: 'string', value: 'FILE', about: 'a file that contains the token' },
    password: { type: 'boolean', about: 'sign in for this call only; the password is asked for, or piped in' },
    list: { type: 'boolean', about: 'print all procedures, or the input of PROCEDURE' },
  },
  argument: 'PROCEDURE',
  choices: async () => (await loadProcedures()).map(({ name }) => name),
  further: 'JSON',
  run: async ({ list, json, ...options }, given) => {
    const { argument: name, further, context } = given;
    if (list) return describeProcedures(name);
    if (name === undefined) throw badUsage(`call needs a PROCEDURE. See: ${commandLine} call --list`);
    const procedure = await findProcedure(name);
    const token = chooseToken(procedure, options, context);
    const url = readUrl(options, context);
    if (options.password && isPiped(further)) {
      throw badUsage('the password is read from standard input. Give the input as @FILE');
    }
    const input = await readInput(procedure, given);
    const client = openClient({ url, token, userAgent: `backchannel-cli/${version()}` });
    const password = options.password ? (await readPassword({ argument: undefined, context })).password : null;
    const remarks = await adviceOn(procedure, { argument: further, options });
    let isSignedIn = false;
    try {
      if (password !== null) {
        await client.auth.login.mutate({ password });
        isSignedIn = true;
      }
      try {
        const answer = await send(client, procedure, input);
        return { text: indented(answer), json: answer, remarks };
      } finally {
        // The session ends with this call, because nothing keeps its cookie. That includes a session that the procedure
        // itself opened. A failed sign-out does not change the result.
        const hasSession = password !== null || procedure.meta.cookie === 'sets';
        if (hasSession) await client.auth.logout.mutate().catch(() => {});
      }
    } catch (error) {
      if (!(error instanceof BackchannelError)) throw error;
      throw refusal(json ? inJson(error) : inWords(error, { isSignedIn }));
    }
  },
});

async function describeProcedures(name: string | undefined): Promise<Result> {
  if (name !== undefined) {
    const procedure = await findProcedure(name);
    return { text: await describe(procedure), json: await toJson(procedure) };
  }
  const procedures = await loadProcedures();
  return { text: listOf(procedures), json: { procedures: await Promise.all(procedures.map(toJson)) } };
}

/** @throws Failure with exit code 2 when the server would reject the call whatever the input is. */
function chooseToken(
  { name, meta }: Procedure,
  options: RemoteOptions & { password?: boolean },
  context: CommandContext,
): string | null {
  if (options.password) {
    const other = options.token ?? options['token-file'];
    if (other !== undefined) throw badUsage('--password cannot be combined with a token. Leave one of them out');
    return null;
  }
  if (meta.access === 'session' || meta.access === 'fresh') {
    throw badUsage(`${name} needs a session and accepts no token. Add --password to sign in for this call`);
  }
  // The call has to end the session that the procedure opens, and the server ignores cookies next to a token.
  if (meta.cookie === 'sets') return null;
  const token = readToken(options, context);
  if (token === null && meta.access === 'operator') {
    throw badUsage(`${name} needs a token. Set ${TOKEN_VARIABLE}, or add --token-file FILE, or --password to sign in`);
  }
  return token;
}

async function adviceOn(
  procedure: Procedure,
  { argument, options }: { argument: string | undefined; options: RemoteOptions },
): Promise<string[]> {
  const advice: string[] = [];
  const leaks = 'stays in the shell history and shows in the process list';
  if (options.token !== undefined) advice.push(`A token as an argument ${leaks}. Set ${TOKEN_VARIABLE} instead.`);
  const hasPassword = (await fieldsOf(procedure)).some(([, { format }]) => format === 'password');
  if (hasPassword && isTyped(argument)) advice.push(`A password as an argument ${leaks}. Use @FILE or - instead.`);
  return advice;
}

type Answer = Record<string, unknown>;
interface Callable {
  query(input: unknown): Promise<Answer>;
  mutate(input: unknown): Promise<Answer>;
}

function send(client: object, { name, type }: Procedure, input: unknown): Promise<Answer> {
  // The client has a node for each part of a name, and the name comes from the router itself.
  const found = name.split('.').reduce<unknown>((node, part) => (node as Record<string, unknown>)[part], client);
  const callable = found as Callable;
  return type === 'query' ? callable.query(input) : callable.mutate(input);
}

/** JSON for people. Of the control characters, only the line breaks of the format remain. */
const indented = (value: unknown): string =>
  JSON.stringify(value, null, 2).split('\n').map(escapeControlCharacters).join('\n');

const inJson = ({ code, status, message, issues, retryAfterSeconds }: BackchannelError): string =>
  escapeControlCharacters(JSON.stringify({ code, status, message, issues, retryAfterSeconds }));

function inWords(error: BackchannelError, { isSignedIn }: { isSignedIn: boolean }): string {
  const { code, status, message, issues, retryAfterSeconds } = error;
  const kind = status === null ? code : `${code}, ${status}`;
  return [
    `${escapeControlCharacters(message)} (${kind})`,
    ...issueLines(issues),
    ...(status === 401 && isSignedIn
      ? ['The password was correct, but the session was lost. If PUBLIC_URL is an https address, use it for --url.']
      : []),
    ...(retryAfterSeconds === null ? [] : [`Try again in ${retryAfterSeconds} s.`]),
  ].join('\n');
}
