// What a check of a live session costs, on every face, beside a bare node:http server and a bare Express app that
// answer the same body to the same request and check nothing.
import { openBackchannel, signIn } from '../backchannel.ts';
import { findCores } from '../machine.ts';
import { compare, type Target } from '../measure.ts';
import { openServer, type ServerProcess } from '../processes.ts';

export async function me({ rounds }: { rounds: number }): Promise<void> {
  const cores = findCores();
  const core = cores?.server ?? null;
  await using backchannel = await openBackchannel({ core });
  const { headers, sessionId, meBody } = await signIn(backchannel.url);
  const openBare = (name: string, ...args: string[]) =>
    openServer({
      script: `bench/src/servers/${name}.ts`,
      args: [meBody, ...args],
      env: { NODE_ENV: 'production' },
      core,
    });
  await using floor = await openBare('floor');
  await using express = await openBare('express');
  await using expressWithoutEtag = await openBare('express', '--no-etag');

  const whole = ['"authenticated":true', `"id":"${sessionId}"`];
  const target = (name: string, { url, pid }: ServerProcess, path: string, includes = whole): Target => ({
    name,
    url: url + path,
    headers,
    includes,
    pid,
  });
  await compare(
    [
      target('node:http, bare (the floor)', floor, '/api/v1/auth/me'),
      target('Express, bare', express, '/api/v1/auth/me'),
      target('Express, bare, etag off', expressWithoutEtag, '/api/v1/auth/me'),
      target('BackChannel GET /api/v1/auth/me', backchannel, '/api/v1/auth/me'),
      target('BackChannel GET /trpc/auth.me', backchannel, '/trpc/auth.me'),
      target('BackChannel GET /api/v1/auth/status', backchannel, '/api/v1/auth/status', ['"authenticated":true']),
    ],
    { rounds, cores },
  );
  console.log(`A body of ${Buffer.byteLength(meBody)} bytes; BackChannel checks the session of each request.`);
}
