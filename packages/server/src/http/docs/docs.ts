// Serves the API reference pages and the OpenAPI document, and controls who may see them and what they may load. The
// document is generated at the first request.
import { type AnyTRPCRouter, TRPCError } from '@trpc/server';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config/config.ts';
import { messages } from '../../messages.ts';
import { refusalFor } from '../../services/access/policy.ts';
import type { Principal } from '../../services/access/principal.ts';
import { version } from '../../version.ts';
import { refuseMethod } from '../answer.ts';
import type { CreateContext } from '../context.ts';
import { setPermissions } from '../headers.ts';
import { isNavigation } from '../navigation.ts';
import type { DocumentConfig } from '../openapi/document.ts';
import { DOCUMENT_PATH, LOGIN_PATH, REDOC_PATH, SWAGGER_UI_PATH } from '../paths.ts';
import { createRedoc } from './redoc.ts';
import { createSwaggerUi } from './swagger-ui.ts';
import { serveText } from './text.ts';

/** Both pages have inline styles, ReDoc's search runs in a worker that it creates from a blob, and icons are data URLs. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; " +
  "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Serves `/docs`, `/redoc`, `/openapi.json` and their files, and passes on everything else.
 * @throws Error when ReDoc's bundle is not the one that this code expects.
 */
export function createDocs(options: {
  config: Pick<Config, 'docs'> & DocumentConfig;
  router: AnyTRPCRouter;
  createContext: CreateContext;
}): RequestHandler {
  const { config, router, createContext } = options;
  const pages: ReadonlyMap<string, RequestHandler> =
    config.docs === 'off'
      ? new Map()
      : new Map([
          [`${SWAGGER_UI_PATH}/`, redirect(SWAGGER_UI_PATH)],
          [`${REDOC_PATH}/`, redirect(REDOC_PATH)],
          [DOCUMENT_PATH, serveDocument({ config, router })],
          ...createSwaggerUi(),
          ...createRedoc(),
        ]);

  return async (req, res, next) => {
    const serve = pages.get(req.path);
    if (!serve) return next();
    if (req.method !== 'GET' && req.method !== 'HEAD') return refuseMethod(req, res, ['GET']);
    if (config.docs === 'login') {
      const principal = await createContext(req, res).authenticate();
      if (!principal && isNavigation(req.headers, req.method)) return redirectToLogin(req, res);
      requireOperator(principal);
    }
    res.setHeader('Content-Security-Policy', DOCS_CSP);
    setPermissions(res);
    // Browsers revalidate it each time, and download it again only if it has changed.
    res.setHeader('Cache-Control', 'private, no-cache');
    return serve(req, res, next);
  };
}

/** The same rule as for queries of the API: a session, or a token of any scope except `proxy`. */
function requireOperator(principal: Principal | null): void {
  if (!principal) {
    throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first: POST /api/v1/auth/login.' });
  }
  if (principal.kind === 'token' && refusalFor(principal, { access: 'operator', type: 'query' })) {
    throw new TRPCError({ code: 'FORBIDDEN', message: messages.scopeTooSmall(principal.token.scope) });
  }
}

/** After signing in, the person returns to the page. */
function redirectToLogin(req: Request, res: Response): void {
  res.setHeader('Cache-Control', 'no-store');
  res.redirect(`${LOGIN_PATH}?${new URLSearchParams({ next: req.url })}`);
}

const redirect =
  (path: string): RequestHandler =>
  (_req, res) =>
    res.redirect(path);

/** Generates the document at the first request and keeps it, so that a start does not load its libraries. */
function serveDocument(options: { config: DocumentConfig; router: AnyTRPCRouter }): RequestHandler {
  const generate = async () => {
    const { createOpenApiDocument } = await import('../openapi/document.ts');
    const document = createOpenApiDocument({ ...options, version });
    return serveText('json', JSON.stringify(document));
  };
  let generated: Promise<RequestHandler> | undefined;
  return async (req, res, next) => {
    generated ??= generate();
    const serve = await generated;
    return serve(req, res, next);
  };
}
