/// A shell whose command lines are completed. Its script knows nothing of pfs but how to ask it: `pfs complete` answers.
///
/// An answer is texts that each end in a zero byte, since a name may hold any other: first what is offered, as
/// ``CompletionAnswer/Kind`` calls it, then the candidates.
enum CompletedShell: String, CaseIterable, Sendable {
  case bash
  case zsh
  case fish

  var script: String {
    switch self {
    case .bash: CompletedShell.bashScript
    case .zsh: CompletedShell.zshScript
    case .fish: CompletedShell.fishScript
    }
  }

  /// What is typed is taken apart by pfs, and it gives what to type: bash itself leaves quotes to the function.
  private static let bashScript = """
    # bash completion for pfs
    _pfs() {
      local answer
      mapfile -d '' -t answer < <("${1/#\\~/$HOME}" complete -- bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
      COMPREPLY=("${answer[@]:1}")
      case ${answer[0]-} in
        files) compopt -o default ;;
        directories) compopt -o dirnames ;;
        beginnings) compopt -o nospace ;;
      esac
    }
    complete -F _pfs pfs

    """

  private static let zshScript = """
    #compdef pfs
    # zsh completion for pfs: candidates come in threes, the text, what is shown of it, and what it is.
    _pfs() {
      local -a answer candidates shown trees shownTrees
      local text name what
      answer=("${(@0)$(${~${(Q)words[1]}} complete -- zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
      [[ $PREFIX == --*=* ]] && compset -P '*='
      case $answer[1] in
        files) _files; return ;;
        directories) _files -/; return ;;
      esac
      for text name what in "${(@)answer[2,-2]}"; do
        name+=${what:+  -- $what}
        if [[ $text == */ ]]; then
          trees+=("$text") shownTrees+=("$name")
        else
          candidates+=("$text") shown+=("$name")
        fi
      done
      local -i result=1
      (( $#candidates )) && compadd -l -d shown -a candidates && result=0
      (( $#trees )) && compadd -S '' -d shownTrees -a trees && result=0
      return result
    }
    if [[ $funcstack[1] == _pfs ]]; then _pfs "$@"; else compdef _pfs pfs; fi

    """

  private static let fishScript = """
    # fish completion for pfs
    function __pfs_complete
      set -l words (commandline -opc)
      set -l typed (commandline -ct)
      set -l current (string unescape -- $typed; or printf '%s' $typed)
      set -l answer (command $words[1] complete -- fish $words[2..] "$current" 2>/dev/null | string split0)
      switch "$answer[1]"
        case files
          __fish_complete_path "$current"
        case directories
          __fish_complete_directories "$current" ''
        case '*'
          for candidate in $answer[2..]
            printf '%s\\n' $candidate
          end
      end
    end
    complete -c pfs -f -a '(__pfs_complete)'

    """
}
