// Type-checks what a project of other people's would write with the packages, by the TypeScript that it has and by the
// oldest that the client claims.
import { join } from 'node:path';
import { type Project, resolveTool, runWell } from './installed.ts';

const strict = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'es2023' };
const libs = { lib: ['es2023', 'esnext.disposable', 'dom'], types: ['node'] };

/** How imports may be found. */
export const resolutions = {
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};

const compilers = {
  'TypeScript 7': ({ folder }: Project) => join(folder, 'node_modules/typescript/bin/tsc'),
  'TypeScript 5.7': () => join(resolveTool('typescript-5.7/package.json'), '../bin/tsc'),
};

/** Checks files of the project. @throws Error with what the compiler found. */
export async function typecheck(
  project: Project,
  files: readonly string[],
  options: { compiler: keyof typeof compilers; compilerOptions: Record<string, unknown> },
): Promise<void> {
  const compilerOptions = { ...strict, ...libs, ...options.compilerOptions };
  await project.write('tsconfig.json', { compilerOptions, files });
  const tsc = compilers[options.compiler](project);
  await runWell(process.execPath, [tsc, '--project', 'tsconfig.json'], { cwd: project.folder });
}

/** Compiles only while the packed types are the router's: `any` would make each of these lines an error. */
export const typeTest = `
import { type BackchannelClient, BackchannelError, type BackchannelIssue, type BackchannelOutputs } from '@backchannel/client-sdk';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Me = Awaited<ReturnType<BackchannelClient['auth']['me']['query']>>;
export const meIsAny: IsAny<Me> = false;
export const issueIsAny: IsAny<BackchannelIssue> = false;
export const issue: BackchannelIssue = { path: 'password', message: 'Too short.' };
export const session: BackchannelOutputs['auth']['me']['session'] = null;

export async function use(bc: BackchannelClient, error: BackchannelError): Promise<void> {
  const { session } = await bc.auth.me.query();
  const until: string | undefined = session?.expiresAt;
  // @ts-expect-error there is no such field
  session?.username;
  // @ts-expect-error no such procedure
  bc.auth.whoami;
  // @ts-expect-error a query does not mutate
  bc.auth.me.mutate;
  // @ts-expect-error the field is password
  await bc.auth.login.mutate({ passwort: until });
  // @ts-expect-error a password is text
  await bc.auth.login.mutate({ password: 5 });
  // @ts-expect-error no such code
  error.code === 'TEAPOT';
  const code: 'UNREACHABLE' | 'UNAUTHORIZED' | undefined = error.code === 'UNREACHABLE' ? error.code : undefined;
  console.log(code, error.issues[0]?.path.length, error.status?.toFixed(), error.retryAfterSeconds?.toFixed());
}
`;
