// Whether a page was asked for at PUBLIC_URL. Where it was not, a sign-in is made for another host than applications ask at,
// or is refused as foreign, and nothing else would say why.
import type { IncomingMessage } from 'node:http';
import { TRPCError } from '@trpc/server';
import { isLoopbackOrigin } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import { createPeerTrust } from '../client-address.ts';
import { type Html, html } from './html.ts';

/** The banner for a request, or null where its address is PUBLIC_URL's. `next` is where the sign-in is to lead. */
export type AddressBanner = (req: IncomingMessage, next: URL | null) => Html | null;

export function createAddressBanner(config: Pick<Config, 'publicUrl' | 'trustedProxies'>): AddressBanner {
  const { publicUrl } = config;
  const home = new URL(publicUrl);
  const isBelieved = createPeerTrust(config);

  /** The origin in the address bar, as far as it can be known: without a proxy that is believed, its scheme cannot. */
  const askedAt = (req: IncomingMessage): string | null => {
    const forwarded = (name: string) => {
      const value = isBelieved(req) ? req.headers[`x-forwarded-${name}`] : undefined;
      return value === undefined ? undefined : String(value).split(',')[0]?.trim();
    };
    const host = forwarded('host') ?? req.headers.host;
    // What a form of this server says of its page is exact.
    const page = URL.parse(req.headers.origin ?? '');
    if (page?.host === host) return page?.origin ?? null;
    // Browsers send it over https, and on this machine, and nowhere else (Fetch Metadata, 2).
    const isSecure = host === home.host || req.headers['sec-fetch-mode'] !== undefined;
    const scheme = forwarded('proto') ?? (isSecure ? home.protocol.slice(0, -1) : 'http');
    if (!host || !/^https?$/.test(scheme)) return null;
    const url = URL.parse(`${scheme}://${host}`);
    return url && url.host !== '' ? url.origin : null;
  };

  return (req, next) => {
    const asked = askedAt(req);
    if (asked === null || asked === publicUrl) return null;
    const there = `${publicUrl}/login${next ? `?${new URLSearchParams({ next: next.href })}` : ''}`;
    return html`<div class="note above">
<p><strong>This is not the address that PUBLIC_URL names.</strong> You are at <code>${asked}</code>, and a sign-in counts
only where it is made. Go to <a href="${there}">${publicUrl}</a> instead, or, if you mean to be here, set
<code>PUBLIC_URL=${asked}</code> and start the server again.</p>
<p>Does your address bar say ${publicUrl} already? Then let the proxy pass on <code>Host</code>.</p>
</div>`;
  };
}

/**
 * Throws BAD_REQUEST for a form whose page came over http where cookies are Secure: the browser would drop the sign-in
 * without a word, and show the form again. On a loopback address it keeps them.
 */
export function refuseLostCookie(req: IncomingMessage, config: Pick<Config, 'publicUrl' | 'secureCookies'>): void {
  const page = URL.parse(req.headers.origin ?? '');
  if (!config.secureCookies || page?.protocol !== 'http:' || isLoopbackOrigin(page.origin)) return;
  throw new TRPCError({
    code: 'BAD_REQUEST',
    message: `A sign-in here is kept over https alone, and this page came over http. Sign in at ${config.publicUrl}/login.`,
  });
}
