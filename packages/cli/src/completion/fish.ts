// The completion script for fish: one function that looks up the place.
import { commandPath } from '@backchannel/server/installation';
import type { Next, Place } from './places.ts';

export const fishScript = (
  places: readonly Place[],
): string => `# Completion of backchannel for fish. In ~/.config/fish/config.fish:
#   ${commandPath} completion fish | source
function __backchannel_look_up
    set -l place ''
    set -l previous ''
    set -l help ''
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    for word in $words[2..-1]
        set previous $word
        switch (string trim "$place $word")
            case help
                set help yes
            case ${places.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join(' ')}
                set place (string trim "$place $word")
        end
    end
    switch "$place $previous"
${places.flatMap(valuesAt).join('\n')}
    end
    switch "$place"
${places.map(candidatesAt).join('\n')}
    end
end
complete --command backchannel --no-files --arguments '(__backchannel_look_up)'`;

function valuesAt({ path, values }: Place): string[] {
  return values.map(
    ({ option, next }) => `        case '${path} ${option}'\n            ${offer(next)}\n            return`,
  );
}

/** Includes options, because fish shows them only after a dash. After `help`, only commands are candidates. */
function candidatesAt({ path, isGroup, words, options }: Place): string {
  const own = isGroup ? offer(words) : `test -z "$help"; and ${offer(words)}`;
  return `        case '${path}'\n            ${own}\n            test -z "$help"; and ${offer(options)}`;
}

function offer(next: Next): string {
  if (next === 'file') return '__fish_complete_path (commandline --current-token)';
  return next.length === 0 ? 'true' : `printf '%s\\n' ${next.join(' ')}`;
}
