// Probes: whether the process lives, and whether it can serve.
import { Router } from 'express';
import type { Store } from '../store/database.ts';
import { noStore } from './headers.ts';
import { refuseMethod, sendJson } from './rest.ts';

export function createHealth(store: Store): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/healthz', noStore, (_req, res) => sendJson(res, 200, { status: 'ok' }));
  router.get('/readyz', noStore, async (_req, res) => {
    const missing = await store.missing();
    const isReady = missing.length === 0;
    sendJson(res, isReady ? 200 : 503, { status: isReady ? 'ok' : 'unavailable', missing });
  });
  router.all(['/healthz', '/readyz'], (req, res) => refuseMethod(req, res, ['GET']));
  return router;
}
