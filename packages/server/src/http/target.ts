// What a request asked for, in a few words that no caller can add to: a name for counts and log lines, never a path.
import type { AnyTRPCRouter } from '@trpc/server';
import { isVerify } from './forward-auth/verify.ts';
import { createOperations, listProcedures } from './operations.ts';

export interface Target {
  face: 'rest' | 'trpc' | 'verify' | 'page' | 'docs' | 'probe' | 'none';
  /** A procedure's name, the path of a page or a probe, `batch`, or `unknown`. */
  operation: string;
}

const fixed: Readonly<Record<string, Target>> = {
  '/': { face: 'page', operation: '/' },
  '/login': { face: 'page', operation: '/login' },
  '/logout': { face: 'page', operation: '/logout' },
  '/sessions': { face: 'page', operation: '/sessions' },
  '/healthz': { face: 'probe', operation: '/healthz' },
  '/readyz': { face: 'probe', operation: '/readyz' },
  '/openapi.json': { face: 'docs', operation: '/openapi.json' },
};

export function createTargets(router: AnyTRPCRouter): (method: string, url: string) => Target {
  const operations = createOperations(router);
  const names = new Set(listProcedures(router).map(({ name }) => name));

  return (method, url) => {
    if (isVerify(url)) return { face: 'verify', operation: 'auth.verify' };
    const end = url.indexOf('?');
    const path = end < 0 ? url : url.slice(0, end);
    if (path.startsWith('/api/v1/')) {
      const found = operations.find(path.slice('/api/v1'.length));
      const operation = found?.methods.get(method === 'HEAD' ? 'GET' : method)?.name;
      return { face: 'rest', operation: operation ?? 'unknown' };
    }
    if (path.startsWith('/trpc/')) {
      const asked = path.slice('/trpc/'.length);
      if (/,|%2c/i.test(asked)) return { face: 'trpc', operation: 'batch' };
      return { face: 'trpc', operation: names.has(asked) ? asked : 'unknown' };
    }
    if (Object.hasOwn(fixed, path)) return fixed[path] ?? unknown;
    const docs = ['/docs', '/redoc'].find((root) => path === root || path.startsWith(`${root}/`));
    return docs ? { face: 'docs', operation: docs } : unknown;
  };
}

const unknown: Target = { face: 'none', operation: 'unknown' };
