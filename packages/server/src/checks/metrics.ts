// METRICS_PORT and METRICS_HOST: who can read the metrics.
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { advice, type Finding, ok } from './finding.ts';

export function checkMetrics({ metricsPort, metricsHost }: Config): Finding[] {
  if (metricsPort === null) return [];
  if (isLoopback(metricsHost))
    return [ok('METRICS_PORT', `only this machine can read the metrics, at port ${metricsPort}`)];
  const text = `${metricsHost} lets everyone who can reach port ${metricsPort} read the metrics: restrict it by a firewall or a private network`;
  return [advice('METRICS_HOST', text)];
}
