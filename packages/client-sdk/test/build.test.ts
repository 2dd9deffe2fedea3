import { expect, test } from 'vitest';
import { standaloneRouter } from '../build.ts';

test('the build fails if the router type needs the server', () => {
  const standsAlone =
    'import { initTRPC } from "@trpc/server";\nexport declare const appRouter: import("@trpc/server").X;';
  expect(standaloneRouter(standsAlone)).toContain('\ndeclare const appRouter');
  const allowed = 'export declare const a: { ctx: import("./trpc.ts").Context; meta: import("./trpc.ts").Meta };';
  expect(standaloneRouter(allowed)).toBe('export declare const a: { ctx: object; meta: object };');
  for (const needy of [
    'export declare const a: import("./services/gate.ts").Principal;',
    'export declare const a: import("zod").ZodString;',
    'export declare const a: import("./trpc.ts").ContextOfMine;',
    "import type { Row } from './store/entities.ts';",
    "export * from '../else.ts';",
    "import '@trpc/server/adapters/express';",
  ]) {
    expect(() => standaloneRouter(needy)).toThrow(/^The router's type needs \S+, which a client does not have/);
  }
});
