// Probes: whether the process lives, and whether it can serve.
import { Router } from 'express';
import type { Store } from '../store/database.ts';
import { sendJson } from './rest.ts';

export function createHealth(store: Store): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/healthz', (_req, res) => sendJson(res, 200, { status: 'ok' }));
  router.get('/readyz', async (_req, res) => {
    const missing = await store.missing();
    const isReady = missing.length === 0;
    sendJson(res, isReady ? 200 : 503, { status: isReady ? 'ok' : 'unavailable', missing });
  });
  return router;
}
