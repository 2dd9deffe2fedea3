// The whole API. Everything the faces show is made from this one object.
import { auth } from './procedures/auth/index.ts';
import { client } from './procedures/client.ts';
import { router } from './trpc.ts';

export const appRouter = router({ auth, client });
export type AppRouter = typeof appRouter;
