// The cross-origin check for every face, and CORS for the origins in ALLOWED_ORIGINS.
import type { IncomingHttpHeaders } from 'node:http';
import { TRPCError } from '@trpc/server';
import type { RequestHandler } from 'express';
import { isLoopbackOrigin } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { messages } from '../messages.ts';
import { readBearer } from './bearer.ts';

type Origins = Pick<Config, 'publicUrl' | 'allowedOrigins'>;

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a method only reads (RFC 9110, 9.2.1). */
export const isSafeMethod = (method: string | undefined): boolean => safeMethods.has(method ?? '');

/**
 * Why a request may not change anything, or null if it may (OWASP ASVS 3.5.1; Fetch Metadata, W3C). A browser may write from
 * this server's own pages and from ALLOWED_ORIGINS. Requests without a browser's headers are allowed.
 */
function crossOriginRefusal(request: { method: string; headers: IncomingHttpHeaders }, config: Origins): string | null {
  // Another site's page does not have a token to send, and with a token the cookie is ignored.
  if (isSafeMethod(request.method) || readBearer(request.headers) !== null) return null;
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return null;
  if (origin !== undefined && config.allowedOrigins.includes(origin)) return null;
  if (site === undefined && (origin === undefined || origin === config.publicUrl || isOwnHost(origin, host, config))) {
    return null;
  }
  const isInsecure = origin?.startsWith('http:') && origin.replace(/^http:/, 'https:') === config.publicUrl;
  if (isInsecure) return messages.insecureOrigin(config.publicUrl);
  return messages.crossOrigin(origin ?? String(site));
}

/** Throws FORBIDDEN if the cross-origin rule refuses the request. */
export function refuseForeignOrigin(request: { method: string; headers: IncomingHttpHeaders }, config: Origins): void {
  const refusal = crossOriginRefusal(request, config);
  if (refusal) throw new TRPCError({ code: 'FORBIDDEN', message: refusal });
}

/**
 * Whether the page's host is the one that the request went to. Only loopback hosts and PUBLIC_URL's host qualify. Behind a proxy
 * with TLS, Host does not tell the scheme, so PUBLIC_URL does: whoever can change what http sends must not write over https.
 */
function isOwnHost(origin: string, host: string | undefined, config: Origins): boolean {
  if (!host || !URL.canParse(origin)) return false;
  const page = new URL(origin);
  // This protects browsers, and they always send Origin in this exact spelling.
  if (page.origin !== origin) return false;
  if (page.host !== hostOf(host, page.protocol)) return false;
  if (isLoopbackOrigin(page.origin)) return true;
  const home = new URL(config.publicUrl);
  return page.host === home.host && (page.protocol === 'https:' || home.protocol === 'http:');
}

function hostOf(host: string, protocol: string): string | null {
  const url = `${protocol}//${host}`;
  return URL.canParse(url) ? new URL(url).host : null;
}

/** CORS for ALLOWED_ORIGINS only: preflights, and the headers that let a page read a response. */
export function cors(config: Origins): RequestHandler {
  return (req, res, next) => {
    const { origin } = req.headers;
    if (config.allowedOrigins.length > 0) res.vary('Origin');
    if (origin !== undefined && config.allowedOrigins.includes(origin)) {
      res.setHeader('Access-Control-Allow-Origin', origin);
      res.setHeader('Access-Control-Allow-Credentials', 'true');
      res.setHeader('Access-Control-Expose-Headers', 'Retry-After, X-Request-Id');
      if (req.method === 'OPTIONS' && req.headers['access-control-request-method'] !== undefined) {
        res.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE');
        res.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, Trpc-Accept, Trpc-Batch-Mode');
        res.setHeader('Access-Control-Max-Age', '600');
      }
    }
    next();
  };
}
