// The completion scripts for bash and zsh. Both share a function that looks up the place. Each passes the words in and the
// candidates out in its own way.
import { commandPath } from '@backchannel/server/installation';
import type { Next, Place } from './places.ts';

/** Works with bash 3.2, the version on macOS, and later. */
export const bashScript = (places: readonly Place[]): string => `# Completion of backchannel for bash. In ~/.bashrc:
#   source <(${commandPath} completion bash)
${lookUp(places)}
_backchannel() {
  local current=\${COMP_WORDS[COMP_CWORD]} candidates='' files='' file
  _backchannel_look_up "$current" "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
  [ -n "$files" ] || return 0
  compopt -o filenames 2>/dev/null
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
}
complete -F _backchannel backchannel`;

export const zshScript = (places: readonly Place[]): string => `#compdef backchannel
# Completion of backchannel for zsh. In ~/.zshrc, after compinit:
#   source <(${commandPath} completion zsh)
${lookUp(places)}
_backchannel() {
  local candidates='' files=''
  _backchannel_look_up "\${words[CURRENT]}" "\${(@)words[2,CURRENT-1]}"
  if [ -n "$files" ]; then _files; else compadd -- \${=candidates}; fi
}
compdef _backchannel backchannel`;

/**
 * A shell function of the current word and all words before it. It sets `candidates`, or `files` if a file name comes next.
 * Options are candidates after a dash, or when there is nothing else.
 */
function lookUp(places: readonly Place[]): string {
  return `_backchannel_look_up() {
  local current=$1 place='' previous='' help='' commands='' options='' word
  shift
  for word in "$@"; do
    previous=$word
    case "\${place:+$place }$word" in
      help) help=yes ;;
      ${places.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join(' | ')})
        place="\${place:+$place }$word" ;;
    esac
  done
  case "$place $previous" in
${valuesIn(places).join('\n')}
  esac
  case "$place" in
${places.map((place) => `    '${place.path}') ${candidatesAt(place)} ;;`).join('\n')}
  esac
  if [ -n "$help" ]; then candidates=$commands files=''
  elif [ "\${current#-}" != "$current" ]; then candidates=$options files=''
  elif [ -n "$commands" ]; then candidates=$commands
  elif [ -z "$candidates$files" ]; then candidates=$options
  fi
}`;
}

/** One line for each set of candidates that can follow an option. */
function valuesIn(places: readonly Place[]): string[] {
  const all = places.flatMap(({ path, values }) =>
    values.map(({ option, next }) => ({ at: `${path} ${option}`, next })),
  );
  const lines = Map.groupBy(all, ({ next }) => assign(next));
  return [...lines].map(([assigned, of]) => `    ${of.map(({ at }) => `'${at}'`).join(' | ')}) ${assigned}; return ;;`);
}

const assign = (next: Next): string => (next === 'file' ? 'files=yes' : `candidates='${next.join(' ')}'`);

function candidatesAt({ isGroup, words, options }: Place): string {
  const own = isGroup && words !== 'file' ? `commands='${words.join(' ')}'` : assign(words);
  return `${own} options='${options.join(' ')}'`;
}
