// Owns the browser of these tests: a real headless Chromium that comes inside an npm package. Nothing is downloaded and
// nothing is asked of the machine but Linux on x64; where it can't run, a test is skipped and says why.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import type { TestContext } from 'vitest';

const run = promisify(execFile);

interface Chromium {
  executablePath: string;
  env: Record<string, string>;
}

let found: Promise<Chromium | { missing: string }> | undefined;

/** A browser of one test's own: what it opens is closed with it. */
export type TestBrowser = Pick<Browser, 'newContext' | 'newPage'> & AsyncDisposable;

/** One Chromium serves all tests of a process, one after the other. It ends with the process. */
let shared: Promise<Browser> | undefined;

/** Opens a browser, or skips the calling test with the reason why it can't run here. */
export async function openBrowser(test: TestContext): Promise<TestBrowser> {
  found ??= findChromium();
  const here = await found;
  if ('missing' in here) {
    const note = `skipped: no Chromium here (${here.missing})`;
    console.warn(note);
    return test.skip(note);
  }
  shared ??= launch(here);
  const browser = await shared;
  return {
    newContext: (options) => browser.newContext(options),
    newPage: (options) => browser.newPage(options),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(browser.contexts().map((each) => each.close()));
    },
  };
}

const launch = (here: Chromium): Promise<Browser> =>
  chromium.launch({
    ...here,
    args: [
      // Chromium's sandbox wants privileges that containers rarely grant, and the pages here are the project's own.
      '--no-sandbox',
      // No name but these resolves, so a page can't reach another host even where the machine could. Hosts of their own,
      // under one domain, are for the tests of proxies, as are names without a domain.
      '--host-resolver-rules=MAP *.example.test 127.0.0.1, MAP nas 127.0.0.1, MAP my_nas 127.0.0.1, MAP * ~NOTFOUND, ' +
        'EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1',
    ],
  });

async function findChromium(): Promise<Chromium | { missing: string }> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: `it comes for linux-x64 and this is ${process.platform}-${process.arch}` };
  }
  const here = await unpack();
  try {
    await run(here.executablePath, ['--version'], { env: here.env });
    return here;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { missing: 'it needs glibc' };
    return { missing: String(error).match(/error while loading shared libraries: .*/)?.[0] ?? String(error) };
  }
}

/** Unpacks the package's archives once for each version, beside the packages of this workspace. */
async function unpack(): Promise<Chromium> {
  const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const manifest = await readFile(join(dirname(entry), '../package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const cache = join(import.meta.dirname, 'node_modules/.cache');
  const folder = join(cache, `chromium-${version}`);
  const here = {
    executablePath: join(folder, 'chromium'),
    env: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      // What a bare Debian lacks (NSS, NSPR, expat) is in the package; the rest is in every glibc system.
      LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  };
  if (await readFile(here.env.FONTCONFIG_FILE).catch(() => null)) return here;

  await mkdir(cache, { recursive: true });
  const partial = await mkdtemp(`${folder}-`);
  // The package unpacks into the folder for temporary files, under fixed names, and its libraries only on AWS Lambda.
  await run(process.execPath, ['--input-type=module', '--eval', unpackScript], {
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH ?? '', TMPDIR: partial, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' },
  });
  // Without a font each text is zero pixels high, hence invisible; the package's own file names Lambda's folders.
  const fonts = `<dir>${folder}/fonts/fonts</dir><cachedir>${folder}/fonts/cache</cachedir>`;
  await writeFile(join(partial, 'fonts.conf'), `<?xml version="1.0"?>\n<fontconfig>${fonts}</fontconfig>\n`);
  // Two test files may unpack at the same time: the first to end wins, and nobody ever sees half a folder.
  await rename(partial, folder).catch(() => rm(partial, { recursive: true }));
  return here;
}

const unpackScript = `import chromium from '@sparticuz/chromium'; await chromium.executablePath();`;
