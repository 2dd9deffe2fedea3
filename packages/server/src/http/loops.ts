// Notices when an application keeps sending a signed-in browser back to the sign-in page, which would send it on again, and so
// on. It is one instance's memory, and only decides between a redirect and a page with a link. It never affects access.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** A browser that takes longer for a round is led by a person. In milliseconds. */
const WINDOW_MS = 20_000;

/** Forward-auth refused the host after each of the earlier visits, which many tabs at once do not cause. */
const MAX_RETURNS = 1;

/** If forward-auth of this server hears nothing of the host, the proxy may ask another server. Browsers follow 20 redirects. */
const MAX_SAME_ADDRESS = 5;

interface Visit {
  at: number;
  href: string;
  isReturn: boolean;
}

interface Trail {
  visits: Visit[];
  /** Whether forward-auth has refused a navigation to the host since the last visit. */
  isRefused: boolean;
}

export interface Loops {
  /** Notes that the sign-in page is about to lead the browser of a session to an address. Returns whether it is in a loop. */
  visit(sessionId: string, address: URL): boolean;
  /** Forward-auth has let a request of a session in. `hostname` returns null if no trusted proxy reports the host. */
  letIn(sessionId: string, hostname: () => string | null): void;
  /** Forward-auth has refused a navigation to a host. */
  refused(hostname: string): void;
}

export function createLoops(clock: Clock): Loops {
  /** By session, then by host name. */
  const trails = new LRUCache<string, Map<string, Trail>>({ max: 500 });

  return {
    visit: (sessionId, { hostname, href }) => {
      const now = clock();
      const hosts = trails.get(sessionId) ?? new Map<string, Trail>();
      const former = hosts.get(hostname);
      const recent = (former?.visits ?? []).filter(({ at }) => Math.abs(now - at) < WINDOW_MS);
      const isReturn = recent.length > 0 && former?.isRefused === true;
      const visits = [...recent, { at: now, href, isReturn }];
      // One host after another, so that links to many hosts do not fill the memory.
      if (hosts.size > 50) hosts.clear();
      hosts.set(hostname, { visits, isRefused: false });
      trails.set(sessionId, hosts);
      // What the first of them returned from is longer ago.
      const returns = visits.slice(1).filter((visit) => visit.isReturn).length;
      const same = visits.filter((visit) => visit.href === href).length;
      return returns > MAX_RETURNS || same > MAX_SAME_ADDRESS;
    },
    letIn: (sessionId, readHostname) => {
      const hosts = trails.get(sessionId);
      if (!hosts) return;
      const hostname = readHostname();
      if (hostname !== null) hosts.delete(hostname);
      if (hostname === null || hosts.size === 0) trails.delete(sessionId);
    },
    refused: (hostname) => {
      for (const hosts of trails.values()) {
        const trail = hosts.get(hostname);
        if (trail) trail.isRefused = true;
      }
    },
  };
}
