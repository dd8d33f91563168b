import Foundation
import TestSupport
import Testing

/// What the Tab key offers in real shells: whatever a name holds, typing goes on so that the shell gives pfs that name.
@Suite("Completion") struct CompletionTests {
  /// Each begins with two letters of its own.
  private static let names: [[UInt8]] =
    [
      "ab.iso", "cd with spaces", "ef'quote", "gh\"quotes\"", "ij$HOME", "kl`id`", "mn\\back", "op!bang", "qr\nline",
      "st\ttab", "uv*?[x]", "wx#~&;|<>()", "yz:a:b=c@d", "bc ümlaut € 😀", "de\u{1B}[31mred", "fg\u{202E}turned",
      "hi/x", "--kj", "-dash", "0123",
    ].map { Array($0.utf8) } + [
      Array("lm".utf8) + [0xFF, 0xFE], Array("no ".utf8) + [0xC3], Array("pq".utf8) + [0x80, 0x0A, 0x27, 0x5C],
    ]

  @Test("in bash gives the name that was stored, in every kind of quotes, whatever it holds")
  func bashNames() throws {
    try Sandbox.use { sandbox in
      let slash = UInt8(ascii: "/")
      try putAll(CompletionTests.names.filter { !$0.contains(slash) }, sandbox)
      for name in CompletionTests.names where name.contains(slash) { try putNamed(name, sandbox) }
      let found = try bash(
        sandbox,
        """
        # complete LINE WORD CLOSING: has WORD completed at the end of LINE; prints what the shell then makes of the last
        # word, after the quote was closed, as readline does it.
        complete() {
          COMP_LINE=$1 COMP_POINT=${#1}
          _pfs "$pfs" "$2" get 2>/dev/null
          local reply
          for reply in "${COMPREPLY[@]}"; do
            # The name as the file system would get it.
            eval "set -- ${1%"$2"}$reply$3"
            printf '%s\\0' "${@: -1}"
          done
        }
        for name; do
          start=${name:0:2}
          for quote in '' '"' "'" "$'"; do
            printf '%s\\0' "= $quote"
            complete "pfs get $quote$start" "$start" "${quote: -1}"
          done
          # All but the last character, as bash itself would quote it.
          printf '%s\\0' '= %q'
          typed=$(printf '%q.' "${name:0:${#name}-1}")
          typed=${typed%.}
          complete "pfs get $typed" "$typed" ''
        done
        """, CompletionTests.names.filter { $0.first != UInt8(ascii: "-") && $0 != Array("0123".utf8) })
      let names = CompletionTests.names.filter { $0.first != UInt8(ascii: "-") && $0 != Array("0123".utf8) }
      // A tree is offered up to its slash at first.
      let expected = names.flatMap { name -> [[UInt8]] in
        let first = name == Array("hi/x".utf8) ? Array("hi/".utf8) : name
        return ["", "\"", "'", "$'"].flatMap { [Array("= \($0)".utf8), first] } + [Array("= %q".utf8), name]
      }
      for (index, pair) in zip(expected, found).enumerated() where pair.0 != pair.1 {
        Issue.record("\(index): '\(text(pair.1))' in place of '\(text(pair.0))'")
        break
      }
      #expect(found.count == expected.count)
    }
  }

  private static let lines: [(line: String, word: String, expected: [String])] = [
    ("pfs sta", "sta", ["stats"]), ("pfs --sto", "--sto", ["--store"]), ("pfs -q li", "li", ["list"]),
    ("pfs put --codec z", "z", ["zlib", "zstd"]), ("pfs put --codec=zl", "zl", ["zlib"]),
    ("pfs list --so", "--so", ["--sort"]), ("pfs list --sort=n", "n", ["name"]),
    ("pfs get --for", "--for", ["--force"]),
    ("pfs help sal", "sal", ["salvage"]), ("pfs completion ", "", ["bash", "zsh", "fish"]),
    ("pfs get 1", "1", ["1", "10", "11"]), ("pfs info 12", "12", []), ("pfs get ./1", "./1", ["./12"]),
    ("pfs get -o out -r tr", "tr", ["tree/"]), ("pfs get tree/", "tree/", ["tree/a", "tree/b/"]),
    ("pfs put --name=tr", "tr", ["tree/"]),
    ("pfs get -- ", "", ["./-x", "./12", "a1", "a2", "a3", "a4", "a5", "tree/"]),
    ("pfs get -o ", "", []), ("pfs put ", "", []), ("pfs salvage ", "", []), ("pfs stats ", "", []),
    ("pfs nothing ", "", []), ("pfs get --nothing ", "", []), ("pfs get a1 > o", "o", []),
    ("pfs --store=/nowhere get ", "", []), ("pfs get a1 a", "a", ["a1", "a2", "a3", "a4", "a5"]),
    ("pfs --store \"$PFS_STORE\" get a1", "a1", ["a1"]), ("PFS get a1", "a1", ["a1"]),
  ]

  @Test("in bash knows commands, options, values and operands") func bashWords() throws {
    try Sandbox.use { sandbox in
      try putAll(["a1", "a2", "a3", "a4", "a5", "-x", "12"].map { Array($0.utf8) }, sandbox)
      for name in ["tree/a", "tree/b/c", "tree/b/d", "a1"] { try putNamed(Array(name.utf8), sandbox) }
      for (line, word, expected) in CompletionTests.lines {
        let found = try bash(
          sandbox,
          """
          COMP_LINE=$1 COMP_POINT=${#1}
          _pfs "$pfs" "$2" '' 2>/dev/null
          (( ${#COMPREPLY[@]} == 0 )) || printf '%s\\0' "${COMPREPLY[@]}"
          """, [Array(line.utf8), Array(word.utf8)])
        #expect(found.map(text) == expected, "\(line)")
      }
    }
  }

  @Test("changes nothing, makes no store and says nothing of one that is damaged") func harmless() throws {
    try Sandbox.use { sandbox in
      sandbox.isChecked = false
      let nothing = try sandbox.done("complete", "--", "bash", "pfs get x", "x")
      #expect(nothing.outputText == "words\0" && nothing.standardError.isEmpty)
      #expect(try !sandbox.store.exists())
      try putAll([Array("xy".utf8)], sandbox)
      #expect(try sandbox.done("complete", "--", "bash", "pfs get x", "x").outputText == "words\0xy\0")
      try (sandbox.store / "index" / "data.mdb").write("no index")
      let damaged = try sandbox.done("complete", "--", "bash", "pfs get x", "x")
      #expect(damaged.outputText == "words\0" && damaged.standardError.isEmpty)
    }
  }

  @Test("is refused without a shell that is known", arguments: [[], ["tcsh"], ["bash", "zsh"], [""]])
  func wrong(arguments: [String]) throws {
    try Sandbox.use { sandbox in
      expectFailure(
        try sandbox.command(["completion"] + arguments).run(), 2, of: "completion", says: "bash, zsh or fish")
    }
  }

  private static let bashProgram = SystemProgram("bash")
  private static let zsh = SystemProgram("zsh")
  private static let fish = SystemProgram("fish")
  private static let script = SystemProgram("script")

  @Test("restores a file in bash after a few letters and Tab, typed at a terminal")
  func bashAtTerminal() throws {
    try Sandbox.use { sandbox in
      let name = Array("my \"film\n".utf8) + [0xFF]
      try putAll([name, Array("other".utf8)], sandbox)
      try (sandbox.work / "start").write("PATH=$PATH:\(Sandbox.executable.parent)\neval \"$(pfs completion bash)\"\n")
      var command = Command(
        BytePath("/usr/bin/script"), ["--quiet", "--command", "bash --noprofile --rcfile start -i", "/dev/null"],
        environment: sandbox.environment, workingDirectory: sandbox.work)
      command.input = .bytes(Data("pfs get my\t\nexit\n".utf8))
      let result = try command.run()
      #expect(try (sandbox.work / name).exists(), "\(result)")
    }
  }

  @Test(
    "restores a file in zsh after a few letters and Tab, typed at a terminal",
    .enabled(if: zsh.isInstalled, Comment(rawValue: zsh.requirement)))
  func zshAtTerminal() throws {
    try Sandbox.use { sandbox in
      let name = Array("my \"film\n".utf8) + [0xFF]
      try putAll([name, Array("other".utf8)], sandbox)
      try putNamed(Array("tree/x y".utf8), sandbox)
      try (sandbox.work / "drive").write(
        """
        zmodload zsh/zpty
        zpty shell zsh -f -i
        # expect TEXT: waits until the shell has said it.
        expect() { zpty -r shell seen "*$1*" || exit 1 }
        zpty -w shell "PS1=; PATH=\\$PATH:\(Sandbox.executable.parent)"
        zpty -w shell 'autoload -Uz compinit; compinit -u -D; eval "$(pfs completion zsh)"; echo rea""dy'
        expect ready
        zpty -w shell $'pfs get my\\t'
        zpty -w shell $'pfs get -o tree-x tr\\tx\\t'
        zpty -w shell $'pfs list --so\\tsi\\t; echo do""ne'
        expect done
        print -r -- $seen
        zpty -d shell
        """)
      let zsh = try #require(CompletionTests.zsh.path)
      let result = try Command(
        zsh, ["-f", "drive"], environment: sandbox.environment, workingDirectory: sandbox.work
      ).run()
      expectDone(result)
      #expect(try (sandbox.work / name).exists(), "\(result)")
      #expect(try (sandbox.work / "tree-x").exists(), "\(result)")
      #expect(result.outputText.contains(/--sort +size/), "\(result)")
    }
  }

  @Test(
    "offers names, options and values in fish",
    .enabled(if: fish.isInstalled, Comment(rawValue: fish.requirement)))
  func inFish() throws {
    try Sandbox.use { sandbox in
      try putAll(["my film", "my 'file'"].map { Array($0.utf8) }, sandbox)
      try putNamed(Array("tree/x".utf8), sandbox)
      try (sandbox.work / "ask").write(
        """
        set -x PATH $PATH \(Sandbox.executable.parent)
        pfs completion fish | source
        for line in 'pfs get my' 'pfs get "my fil' 'pfs get t' 'pfs put --codec=zl' 'pfs list --so' 'pfs sta' 'pfs get 3'
          complete -C $line | string replace -r '\\t.*' ''
          echo .
        end
        """)
      let fish = try #require(CompletionTests.fish.path)
      let result = try Command(
        fish, ["--no-config", "ask"], environment: sandbox.environment, workingDirectory: sandbox.work
      ).run()
      expectDone(result)
      let names = ["my 'file'", "my film", ".", "my film", ".", "tree/", "."]
      #expect(result.outputLines == names + ["--codec=zlib", ".", "--sort", ".", "stats", ".", "3", "."])
    }
  }

  // MARK: Asking

  /// Stores files under these names, which have no slash.
  private func putAll(_ names: [[UInt8]], _ sandbox: Sandbox) throws {
    let directory = sandbox.work / "files"
    try directory.makeDirectory()
    for name in names { try (directory / name).write("contents") }
    let command = sandbox.command(["put", "--"] + names.map { directory / $0 })
    expectDone(try command.run())
  }

  private func putNamed(_ name: [UInt8], _ sandbox: Sandbox) throws {
    try sandbox.done("put", Array("--name=".utf8) + name, "-", input: .bytes(Data("contents".utf8)))
  }

  /// Runs a script of bash in which `_pfs` is the function that bash calls.
  /// - Returns: What it prints, which ends in zeros.
  private func bash(_ sandbox: Sandbox, _ script: String, _ arguments: [[UInt8]]) throws -> [[UInt8]] {
    try (sandbox.work / "ask").write(
      "pfs=\(Sandbox.executable)\neval \"$(\"$pfs\" completion bash)\"\n" + script)
    let result = try Command(
      BytePath("/usr/bin/bash"), ["ask"] + arguments, environment: sandbox.environment, workingDirectory: sandbox.work
    ).run()
    #expect(result.standardError.isEmpty, "\(result)")
    return result.standardOutput.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { Array($0) }
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
