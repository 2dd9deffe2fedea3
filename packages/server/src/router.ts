// The router with all procedures. Every face is built from it.
import { auth } from './procedures/auth/index.ts';
import { client } from './procedures/client.ts';
import { router } from './trpc.ts';

export const appRouter = router({ auth, client });
export type AppRouter = typeof appRouter;
