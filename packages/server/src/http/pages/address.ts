// Warns on a page that was opened at another address than PUBLIC_URL. A sign-in there is valid for another host, or is refused
// as cross-origin, and nothing else would explain why.
import type { IncomingMessage } from 'node:http';
import { TRPCError } from '@trpc/server';
import { isLoopbackOrigin } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { createPeerTrust } from '../client-address.ts';
import { type Html, html } from './html.ts';

/** The banner for a request, or null if its address is PUBLIC_URL. `next` is the return address of the sign-in. */
export type AddressBanner = (req: IncomingMessage, next: URL | null) => Html | null;

export function createAddressBanner(config: Pick<Config, 'publicUrl' | 'trustedProxies'>): AddressBanner {
  const { publicUrl } = config;
  const home = new URL(publicUrl);
  const isFromTrustedProxy = createPeerTrust(config);

  /** The origin in the address bar, as far as the server can know it. Without a trusted proxy, the scheme is a guess. */
  const openedAt = (req: IncomingMessage): string | null => {
    const forwarded = (name: string) => {
      const value = isFromTrustedProxy(req) ? req.headers[`x-forwarded-${name}`] : undefined;
      return value === undefined ? undefined : String(value).split(',')[0]?.trim();
    };
    const host = forwarded('host') ?? req.headers.host;
    // The Origin of a form from this server is exact.
    const page = URL.parse(req.headers.origin ?? '');
    if (page?.host === host) return page?.origin ?? null;
    // Browsers send Sec-Fetch-* only over https and to loopback addresses (Fetch Metadata, 2).
    const isSecure = host === home.host || req.headers['sec-fetch-mode'] !== undefined;
    const scheme = forwarded('proto') ?? (isSecure ? home.protocol.slice(0, -1) : 'http');
    if (!host || !/^https?$/.test(scheme)) return null;
    const url = URL.parse(`${scheme}://${host}`);
    return url && url.host !== '' ? url.origin : null;
  };

  return (req, next) => {
    const opened = openedAt(req);
    if (opened === null || opened === publicUrl) return null;
    const there = `${publicUrl}/login${next ? `?${new URLSearchParams({ next: next.href })}` : ''}`;
    return html`<div class="note above">
<p><strong>This address is not PUBLIC_URL.</strong> You are at <code>${opened}</code>, and a sign-in is only valid at the
address where you sign in. Go to <a href="${there}">${publicUrl}</a> instead. If this is the address you want to use, set
<code>PUBLIC_URL=${opened}</code> and restart the server.</p>
<p>If your address bar already shows ${publicUrl}, configure the proxy to pass on the <code>Host</code> header.</p>
</div>`;
  };
}

/**
 * Throws BAD_REQUEST for a form that was loaded over http if cookies are Secure: the browser would silently drop the session
 * cookie and show the form again. On loopback addresses, browsers accept Secure cookies over http.
 */
export function refuseLostCookie(req: IncomingMessage, config: Pick<Config, 'publicUrl' | 'secureCookies'>): void {
  const page = URL.parse(req.headers.origin ?? '');
  if (!config.secureCookies || page?.protocol !== 'http:' || isLoopbackOrigin(page.origin)) return;
  throw new TRPCError({
    code: 'BAD_REQUEST',
    message: `You can only sign in over https, and this page was loaded over http. Sign in at ${config.publicUrl}/login.`,
  });
}
