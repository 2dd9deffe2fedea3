// The security headers of every response (OWASP ASVS 3.4). Pages that need a wider policy set it themselves.
import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';

/** Nothing may load or run. */
const STRICT_CSP = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function setSecurityHeaders(res: ServerResponse): void {
  res.setHeader('Content-Security-Policy', STRICT_CSP);
  res.setHeader('X-Content-Type-Options', 'nosniff');
  // Not no-referrer: with it, a form's POST sends `Origin: null`, which the cross-origin rule refuses.
  res.setHeader('Referrer-Policy', 'same-origin');
  res.setHeader('X-Frame-Options', 'DENY');
}

export const securityHeaders: RequestHandler = (_req, res, next) => {
  setSecurityHeaders(res);
  next();
};

/** API responses are for one caller at one moment, so they must not be cached. */
export const noStore: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};
