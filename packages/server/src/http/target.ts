// Names the target of a request for metrics and log lines. The names come from a fixed set, so callers cannot add labels.
import type { AnyTRPCRouter } from '@trpc/server';
import { createOperations, listProcedures } from './operations.ts';
import {
  API_PATH,
  DOCUMENT_PATH,
  HEALTH_PATH,
  HOME_PATH,
  isVerify,
  LOGIN_PATH,
  LOGOUT_PATH,
  READY_PATH,
  REDOC_PATH,
  SESSIONS_PATH,
  SWAGGER_UI_PATH,
  TRPC_PATH,
} from './paths.ts';

export interface Target {
  face: 'rest' | 'trpc' | 'verify' | 'page' | 'docs' | 'probe' | 'none';
  /** A procedure's name, the path of a page or a probe, `batch`, or `unknown`. */
  operation: string;
}

const faceOf: ReadonlyMap<string, Target['face']> = new Map([
  ...[HOME_PATH, LOGIN_PATH, LOGOUT_PATH, SESSIONS_PATH].map((path) => [path, 'page'] as const),
  ...[HEALTH_PATH, READY_PATH].map((path) => [path, 'probe'] as const),
  [DOCUMENT_PATH, 'docs'],
]);

export function createTargets(router: AnyTRPCRouter): (method: string, url: string) => Target {
  const operations = createOperations(router);
  const names = new Set(listProcedures(router).map(({ name }) => name));

  return (method, url) => {
    if (isVerify(url)) return { face: 'verify', operation: 'auth.verify' };
    const end = url.indexOf('?');
    const path = end < 0 ? url : url.slice(0, end);
    if (path.startsWith(`${API_PATH}/`)) {
      const found = operations.find(path.slice(API_PATH.length));
      const operation = found?.methods.get(method === 'HEAD' ? 'GET' : method)?.name;
      return { face: 'rest', operation: operation ?? 'unknown' };
    }
    if (path.startsWith(`${TRPC_PATH}/`)) {
      const asked = path.slice(TRPC_PATH.length + 1);
      if (/,|%2c/i.test(asked)) return { face: 'trpc', operation: 'batch' };
      return { face: 'trpc', operation: names.has(asked) ? asked : 'unknown' };
    }
    const face = faceOf.get(path);
    if (face) return { face, operation: path };
    const docs = [SWAGGER_UI_PATH, REDOC_PATH].find((root) => path === root || path.startsWith(`${root}/`));
    return docs ? { face: 'docs', operation: docs } : unknown;
  };
}

const unknown: Target = { face: 'none', operation: 'unknown' };
