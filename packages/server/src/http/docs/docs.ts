// The pages that show the API, and its document: who sees them, and what they may load. What the document says is not
// decided here, and it is not made before somebody asks for it.
import { type AnyTRPCRouter, TRPCError } from '@trpc/server';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config/config.ts';
import { messages } from '../../messages.ts';
import { refusalFor } from '../../services/access/policy.ts';
import type { Principal } from '../../services/access/principal.ts';
import { version } from '../../version.ts';
import { refuseMethod } from '../answer.ts';
import type { CreateContext } from '../context.ts';
import { isNavigation } from '../navigation.ts';
import type { DocumentConfig } from '../openapi/document.ts';
import { DOCUMENT_PATH, LOGIN_PATH, REDOC_PATH, SWAGGER_UI_PATH } from '../paths.ts';
import { createRedoc } from './redoc.ts';
import { createSwaggerUi } from './swagger-ui.ts';
import { serveText } from './text.ts';

/** Both pages set styles in their markup; ReDoc's search runs in a worker that it makes of a blob; icons are data. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; " +
  "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Answers `/docs`, `/redoc`, `/openapi.json` and what belongs to them; hands on everything else.
 * @throws Error when ReDoc's bundle is not what this code was written for.
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
    // Asked for each time, and sent again only when it has changed.
    res.setHeader('Cache-Control', 'private, no-cache');
    return serve(req, res, next);
  };
}

/** As for a query of the API: a session, or a token of any scope but the one that opens nothing here. */
function requireOperator(principal: Principal | null): void {
  if (!principal) {
    throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first: POST /api/v1/auth/login.' });
  }
  if (principal.kind === 'token' && refusalFor(principal, { access: 'operator', type: 'query' })) {
    throw new TRPCError({ code: 'FORBIDDEN', message: messages.scopeTooSmall(principal.token.scope) });
  }
}

/** A person signs in on the page, and comes back. */
function redirectToLogin(req: Request, res: Response): void {
  res.setHeader('Cache-Control', 'no-store');
  res.redirect(`${LOGIN_PATH}?${new URLSearchParams({ next: req.url })}`);
}

const redirect =
  (path: string): RequestHandler =>
  (_req, res) =>
    res.redirect(path);

/** Made at the first request and kept: a start does not wait for the libraries behind it. */
function serveDocument(options: { config: DocumentConfig; router: AnyTRPCRouter }): RequestHandler {
  const make = async () => {
    const { createOpenApiDocument } = await import('../openapi/document.ts');
    const document = createOpenApiDocument({ ...options, version });
    return serveText('json', JSON.stringify(document));
  };
  let made: Promise<RequestHandler> | undefined;
  return async (req, res, next) => {
    made ??= make();
    const serve = await made;
    return serve(req, res, next);
  };
}
