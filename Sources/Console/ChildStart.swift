import CommandSupport
import Glibc

/// Starts programs: without input, with the environment of this process and what is set besides, and with signals as a
/// program expects them from a shell, none blocked and none ignored that ``SignalWatcher`` has this process ignore.
enum ChildStart {
  /// - Parameters:
  ///   - output: The child's standard output.
  ///   - error: Its standard error; nil for this process's.
  ///   - environment: Variables that are set, or set otherwise, for the child.
  ///   - leadsGroup: Whether it and what it starts are a process group of their own, so that one signal reaches all.
  static func spawn(
    _ program: [UInt8], _ arguments: [[UInt8]], output: Int32, error: Int32?, environment: [String: String] = [:],
    leadsGroup: Bool = false
  ) throws(ConsoleFailure) -> pid_t {
    let shownProgram = DisplayName.escaped(program)
    var strings: [[CChar]] = []
    for argument in [program] + arguments {
      guard let string = CStrings.terminated(argument) else {
        throw ConsoleFailure(.invalidPath, "\(shownProgram): an argument cannot hold a zero byte")
      }
      strings.append(string)
    }
    // Safe: copies that live until the end of this function; the lists of them end in a null pointer.
    let copies = unsafe strings.map { string in unsafe strdup(string) }
    let variables = unsafe ChildStart.variables(changedBy: environment).map { string in unsafe strdup(string) }
    defer { unsafe (copies + variables).forEach { copy in unsafe free(copy) } }

    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    // Safe: both are initialised here and destroyed once; so are the sets.
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    var noSignals = sigset_t()
    var ignoredSignals = sigset_t()
    unsafe sigemptyset(&noSignals)
    unsafe sigemptyset(&ignoredSignals)
    for signal in [SIGPIPE, SIGXFSZ] { unsafe sigaddset(&ignoredSignals, signal) }
    unsafe posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (leadsGroup ? POSIX_SPAWN_SETPGROUP : 0)))
    unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
    unsafe posix_spawnattr_setsigdefault(&attributes, &ignoredSignals)
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    if let error { unsafe posix_spawn_file_actions_adddup2(&actions, error, 2) }

    var child: pid_t = 0
    // Safe: all arguments outlive the call.
    let status = unsafe posix_spawn(&child, strings[0], &actions, &attributes, copies + [nil], variables + [nil])
    guard status == 0 else { throw ConsoleFailure(errorNumber: status, "starting \(shownProgram)") }
    return child
  }

  /// The environment of this process as C has it, `NAME=VALUE`, with these in place of those of the same name.
  private static func variables(changedBy changes: [String: String]) -> [[CChar]] {
    var variables: [[CChar]] = []
    let names = changes.keys.map { name in Array("\(name)=".utf8).map(CChar.init(bitPattern:)) }
    var index = 0
    // Safe: the list ends in a null pointer and is not changed while this process runs.
    while let variable = unsafe environ[index] {
      let string = unsafe Array(UnsafeBufferPointer(start: variable, count: strlen(variable) + 1))
      if !names.contains(where: { string.starts(with: $0) }) { variables.append(string) }
      index += 1
    }
    return variables + changes.sorted { $0.key < $1.key }.compactMap { CStrings.terminated(Array("\($0)=\($1)".utf8)) }
  }
}
