// Probes for liveness and readiness.
import { Router } from 'express';
import type { Store } from '../store/database.ts';
import { refuseMethod, sendJson } from './answer.ts';
import { noStore } from './headers.ts';
import { HEALTH_PATH, READY_PATH } from './paths.ts';

export function createHealth({
  store,
  isDraining,
}: {
  store: Pick<Store, 'missing'>;
  isDraining: () => boolean;
}): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get(HEALTH_PATH, noStore, (_req, res) => sendJson(res, 200, { status: 'ok' }));
  router.get(READY_PATH, noStore, async (_req, res) => {
    const missing = await store.missing();
    const status = isDraining() ? 'closing' : missing.length === 0 ? 'ok' : 'unavailable';
    sendJson(res, status === 'ok' ? 200 : 503, { status, missing });
  });
  router.all([HEALTH_PATH, READY_PATH], (req, res) => refuseMethod(req, res, ['GET']));
  return router;
}
