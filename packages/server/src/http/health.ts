// Probes: whether the process lives, and whether it can serve.
import { Router } from 'express';
import type { Store } from '../store/database.ts';
import { noStore } from './headers.ts';
import { refuseMethod, sendJson } from './rest.ts';

export function createHealth({
  store,
  isDraining,
}: {
  store: Pick<Store, 'missing'>;
  isDraining: () => boolean;
}): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/healthz', noStore, (_req, res) => sendJson(res, 200, { status: 'ok' }));
  router.get('/readyz', noStore, async (_req, res) => {
    const missing = await store.missing();
    const status = isDraining() ? 'closing' : missing.length === 0 ? 'ok' : 'unavailable';
    sendJson(res, status === 'ok' ? 200 : 503, { status, missing });
  });
  router.all(['/healthz', '/readyz'], (req, res) => refuseMethod(req, res, ['GET']));
  return router;
}
