// Safe: libedit and the C library keep state in C globals, which Swift cannot prove free of races: everything here that
// touches them runs on the thread that called `start`, which each function checks.
@unsafe @preconcurrency import CEdit
import CommandSupport
@unsafe @preconcurrency import Glibc
import Synchronization

/// Edits lines on a terminal, with history and completion, by the readline interface of libedit.
///
/// For the main thread only, as the library has one state for the process; ``restoreTerminal()`` is for any thread.
/// ``start(historyLineLimit:completer:)`` comes first; a call from a thread other than the one that made it traps.
package enum LineEditor {
  /// Gives the words that may stand where `word` is, after `before` on the line, or nil for the names of files.
  /// Called on the main thread, while a line is read.
  package typealias Completer = @Sendable (_ word: [UInt8], _ before: [UInt8]) -> [[UInt8]]?

  private struct State {
    /// The thread that started the editor.
    var owner: pthread_t?
    var savedTerminal: termios?
    var completer: Completer?
    var lastLine: [UInt8] = []
    var isReading = false
    /// To be shown above the line that is being typed.
    var pending: [(bytes: [UInt8], stream: StandardStream)] = []
    var isStopped = false
  }

  private static let state = Mutex(State())
  private static let wakeUp = WakeUp()

  /// Prepares the editor; once in a process, before other threads run, when standard input is a terminal.
  ///
  /// Switches the process to the character set of the user, or to UTF-8 if theirs is another, so that names can be
  /// typed as they are. The prompt and the typed text go to standard error: standard output is for results.
  /// - Parameters:
  ///   - historyLineLimit: how many lines are kept.
  ///   - completer: for the Tab key; nil completes the names of files.
  package static func start(historyLineLimit: Int = 1000, completer: Completer? = nil) {
    var terminal = termios()
    // Safe: the structure outlives the call.
    let isTerminal = unsafe tcgetattr(StandardStream.input.rawValue, &terminal) == 0
    state.withLock { state in
      state.owner = pthread_self()
      state.savedTerminal = isTerminal ? terminal : nil
      state.completer = completer
    }
    // Safe: constant C strings; no other thread runs yet, and the text of the answer is only compared.
    unsafe setlocale(LC_CTYPE, "")
    if unsafe strcmp(nl_langinfo(Int32(CODESET)), "UTF-8") != 0 {
      unsafe setlocale(LC_CTYPE, "C.UTF-8")
    }
    // Safe: one thread, before the library is initialised; the name is never freed.
    unsafe rl_readline_name = UnsafePointer(strdup("pfs"))
    unsafe rl_outstream = stderr
    // Safe: called on the thread that reads a line.
    unsafe rl_getc_function = { _ in LineEditor.nextCharacter() }
    using_history()
    stifle_history(Int32(clamping: historyLineLimit))
    guard completer != nil else { return }
    // Safe: the library calls this on the thread that reads a line, and frees what it is given.
    unsafe rl_attempted_completion_function = { word, start, _ in
      unsafe LineEditor.completions(of: word, start: start)
    }
  }

  /// The next line as bytes, without its newline, or nil at Ctrl-D on an empty line and at the end of the input.
  ///
  /// Blocks while the user types. The line joins the history, unless it is empty, begins with a space or is the same
  /// as the one before. Typed bytes that are no text in the character set are dropped.
  /// - Parameter prompt: printable text; a zero byte ends it.
  package static func readLine(prompt: String) -> [UInt8]? {
    requireOwner()
    let mayRead = state.withLock { state in
      state.isReading = !state.isStopped
      return state.isReading
    }
    guard mayRead else { return nil }
    // Safe: the line is ours, is copied and freed once.
    let answer = unsafe readline(prompt)
    // What comes next begins on a line of its own; a newline was shown only if one was typed.
    if unsafe answer == nil { write(Array("\n".utf8), to: .error) }
    endReading()
    guard let text = unsafe answer else { return nil }
    defer { unsafe free(text) }
    let line = unsafe CStrings.bytes(of: text)
    let isNew = state.withLock { state in
      defer { state.lastLine = line }
      return state.lastLine != line
    }
    if isNew, let first = line.first, first != UInt8(ascii: " ") {
      // Safe: the library copies the line.
      unsafe add_history(text)
    }
    return line
  }

  /// Writes whole lines to `stream` above the line that is being typed, which stays as it is. For any thread.
  /// - Returns: Whether it will be written; if not, no line is being read, and the caller writes it.
  package static func showAbove(_ bytes: [UInt8], on stream: StandardStream) -> Bool {
    let isTaken = state.withLock { state in
      if state.isReading { state.pending.append((bytes, stream)) }
      return state.isReading
    }
    if isTaken { wakeUp?.wake() }
    return isTaken
  }

  /// Ends the input here: the line that is being read is given up, and ``readLine(prompt:)`` gives nil from now on.
  /// For any thread.
  package static func stop() {
    state.withLock { state in state.isStopped = true }
    wakeUp?.wake()
  }

  /// Reads the history from the file at `path`; a file that is not there is an empty history.
  /// - Throws: ``ConsoleFailure`` `.system`, also if the file is no history, and `.invalidPath`.
  package static func loadHistory(path: [UInt8]) throws(ConsoleFailure) {
    do {
      // Safe: a C string that lives for the call.
      try withHistory(path, "reading the history") { path in unsafe read_history(path) }
    } catch {
      guard error.code == .noSuchFile else { throw error }
    }
  }

  /// Writes the history to the file at `path`, which only the user may then read; its folder must exist.
  /// - Throws: ``ConsoleFailure`` `.noSuchFile`, `.system`, `.invalidPath`.
  package static func saveHistory(path: [UInt8]) throws(ConsoleFailure) {
    // Safe: a C string that lives for the call.
    try withHistory(path, "writing the history") { path in unsafe write_history(path) }
  }

  /// Gives the terminal back the modes it had at ``start(historyLineLimit:completer:)``, for an exit in the middle of
  /// a line. For any thread.
  package static func restoreTerminal() {
    guard var terminal = state.withLock({ state in state.savedTerminal }) else { return }
    // Safe: the structure outlives the call. What fails here fails on the way out.
    _ = unsafe tcsetattr(StandardStream.input.rawValue, TCSANOW, &terminal)
  }

  /// What the library calls for each typed character: -1 at the end.
  private static func nextCharacter() -> Int32 {
    while let wakeUp, wakeUp.wait() == .woken {
      if state.withLock({ state in state.isStopped }) { return -1 }
      showPending(clearing: true)
      rl_forced_update_display()
      // Safe: the stream of the prompt, of which the library wrote to the buffer.
      unsafe fflush(stderr)
    }
    guard let first = nextByte() else { return -1 }
    guard first >= 0x80 else { return Int32(first) }
    // The terminal is in UTF-8, as `start` sees to: the leading ones say how many bytes there are.
    let count = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1
    var scalar = UInt32(first) & (0x3F >> UInt32(count))
    for _ in 0..<count {
      guard let next = nextByte() else { return -1 }
      scalar = scalar << 6 | UInt32(next & 0x3F)
    }
    return Int32(bitPattern: scalar)
  }

  private static func nextByte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      // Safe: one byte, which outlives the call.
      let count = unsafe read(StandardStream.input.rawValue, &byte, 1)
      if count == 1 { return byte }
      guard count < 0, errno == EINTR || errno == EAGAIN else { return nil }
      if errno == EAGAIN { StandardStreams.waitUntilReady(.input, for: POLLIN) }
    }
  }

  private static func endReading() {
    while true {
      let isDone = state.withLock { state in
        if state.pending.isEmpty { state.isReading = false }
        return !state.isReading
      }
      if isDone { return }
      showPending(clearing: false)
    }
  }

  private static func showPending(clearing: Bool) {
    let lines = state.withLock { state in
      defer { state.pending = [] }
      return state.pending
    }
    if clearing, !lines.isEmpty { write(Array("\r\u{1B}[K".utf8), to: .error) }
    for line in lines { write(line.bytes, to: line.stream) }
  }

  /// Nobody can be told what fails here: it is the terminal that has gone.
  private static func write(_ bytes: [UInt8], to stream: StandardStream) {
    do throws(ConsoleFailure) { try StandardStreams.write(bytes, to: stream) } catch {}
  }

  /// Calls one of the history functions, which answer with 0 or an error number.
  private static func withHistory(
    _ path: [UInt8], _ action: String, _ call: ([CChar]) -> Int32
  ) throws(ConsoleFailure) {
    requireOwner()
    let subject = "\(action) \(DisplayName.escaped(path))"
    guard let cPath = CStrings.terminated(path) else {
      throw ConsoleFailure(.invalidPath, "\(subject): a path cannot hold a zero byte")
    }
    let errorNumber = call(cPath)
    guard errorNumber == 0 else { throw ConsoleFailure(errorNumber: errorNumber, subject) }
  }

  /// What the library asks for at the Tab key: null, or a list that it frees, of the longest common prefix, the
  /// candidates and a null pointer.
  /// - Parameter start: where the word begins on the line, in characters.
  private static func completions(
    of word: UnsafePointer<CChar>?, start: Int32
  ) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? {
    guard let word = unsafe word, let completer = state.withLock({ state in state.completer }) else { return nil }
    // Safe: both are C strings; the second is ours and freed once.
    let wordBytes = unsafe CStrings.bytes(of: word)
    let lineText = unsafe rl_copy_text(0, maximumLineByteCount)
    let line = unsafe lineText.map { text in unsafe String(decoding: CStrings.bytes(of: text), as: UTF8.self) } ?? ""
    unsafe free(lineText)
    let before = String(String.UnicodeScalarView(line.unicodeScalars.prefix(Int(start))))

    let answer = completer(wordBytes, Array(before.utf8))
    // 1 keeps the library from offering file names in place of nothing.
    rl_attempted_completion_over = answer == nil ? 0 : 1
    let candidates = (answer ?? []).filter { $0.starts(with: wordBytes) }.compactMap(CStrings.terminated)
    guard let first = candidates.first else { return nil }
    let common = candidates.dropFirst().reduce(first.dropLast()) { prefix, candidate in
      prefix.prefix(zip(prefix, candidate).prefix { $0 == $1 }.count)
    }
    let entries = [Array(common) + [0]] + candidates
    // Safe: as many pointers as are set, the last one null; nil where memory has run out, and then no completion.
    let list = unsafe calloc(entries.count + 1, MemoryLayout<UnsafeMutablePointer<CChar>?>.stride)?
      .bindMemory(to: UnsafeMutablePointer<CChar>?.self, capacity: entries.count + 1)
    if let list = unsafe list {
      for (index, entry) in entries.enumerated() { unsafe list[index] = strdup(entry) }
    }
    return unsafe list
  }

  private static let maximumLineByteCount: Int32 = 1 << 20

  private static func requireOwner() {
    let owner = state.withLock { state in state.owner }
    precondition(
      owner.map { owner in pthread_equal(owner, pthread_self()) != 0 } ?? false,
      "the line editor is for the thread that started it")
  }
}
