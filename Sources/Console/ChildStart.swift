import CommandSupport
import Glibc

/// Starts programs: without input, with the environment of this process, and with signals as a program expects them
/// from a shell, none blocked and none ignored that ``SignalWatcher`` has this process ignore.
enum ChildStart {
  /// - Parameters:
  ///   - output: The child's standard output.
  ///   - error: Its standard error; nil for this process's.
  ///   - leadsGroup: Whether it and what it starts are a process group of their own, so that one signal reaches all.
  static func spawn(
    _ program: [UInt8], _ arguments: [[UInt8]], output: Int32, error: Int32?, leadsGroup: Bool = false
  ) throws(ConsoleFailure) -> pid_t {
    let shownProgram = DisplayName.escaped(program)
    var strings: [[CChar]] = []
    for argument in [program] + arguments {
      guard let string = CStrings.terminated(argument) else {
        throw ConsoleFailure(.invalidPath, "\(shownProgram): an argument cannot hold a zero byte")
      }
      strings.append(string)
    }
    // Safe: copies that live until the end of this function; the list of them ends in a null pointer.
    let copies = unsafe strings.map { string in unsafe strdup(string) }
    defer { unsafe copies.forEach { copy in unsafe free(copy) } }

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
    // Safe: all arguments outlive the call; the environment is not changed while this process runs.
    let status = unsafe posix_spawn(&child, strings[0], &actions, &attributes, copies + [nil], environ)
    guard status == 0 else { throw ConsoleFailure(errorNumber: status, "starting \(shownProgram)") }
    return child
  }
}
