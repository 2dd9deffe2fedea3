// METRICS_PORT and METRICS_HOST: who can read the metrics.
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { advice, type Finding, ok } from './finding.ts';

export function checkMetrics({ metricsPort, metricsHost }: Config): Finding[] {
  if (metricsPort === null) return [];
  if (isLoopback(metricsHost)) return [ok('METRICS_PORT', `this machine reads metrics at port ${metricsPort}`)];
  const text = `${metricsHost} lets whoever reaches port ${metricsPort} read the metrics: let a firewall or a private network see to it`;
  return [advice('METRICS_HOST', text)];
}
