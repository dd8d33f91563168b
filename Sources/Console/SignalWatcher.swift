import Glibc
import Synchronization

/// Takes the signals that ask this process to stop, on a thread of its own, where any code may run.
package enum SignalWatcher {
  /// Ctrl-C.
  package static let interrupt = SIGINT
  /// A polite request to end, as `kill` sends it.
  package static let terminate = SIGTERM
  /// The end that no process can refuse.
  package static let kill = SIGKILL
  /// The terminal has gone.
  package static let hangUp = SIGHUP

  private static let isStarted = Mutex(false)

  /// Starts watching, once in a process, on the main thread and before any other thread is started: threads inherit
  /// the mask that holds the signals back from them.
  ///
  /// A signal that was ignored when the process started (`nohup`, background jobs of scripts) stays ignored. SIGPIPE
  /// and SIGXFSZ are ignored from now on: writes fail with an error instead. Child processes inherit the mask and
  /// what is ignored, so whoever starts one resets both.
  /// - Parameter handle: called on the watching thread with the signal and how many have come, this one included,
  ///   whichever they were. While it runs, further signals wait; of each kind at most one is kept.
  /// - Throws: ``ConsoleFailure`` `.system` if the system refuses; the process is then as it was.
  package static func start(
    _ handle: @escaping @Sendable (_ signal: Int32, _ ordinal: Int) -> Void
  ) throws(ConsoleFailure) {
    isStarted.withLock { isStarted in
      precondition(!isStarted, "signals are watched already")
      isStarted = true
    }
    var watched = sigset_t()
    var previous = sigset_t()
    // Safe: the sets outlive the calls; the numbers are valid signals.
    unsafe sigemptyset(&watched)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) {
      // Safe: as above.
      unsafe sigaddset(&watched, signal)
    }
    // Safe: as above.
    let maskStatus = unsafe pthread_sigmask(SIG_BLOCK, &watched, &previous)
    guard maskStatus == 0 else { throw ConsoleFailure(errorNumber: maskStatus, "blocking signals") }

    // Safe: the retained watch is released by the thread, or below if there is none.
    let context = unsafe Unmanaged.passRetained(Watch(signals: watched, handle: handle))
    var thread = pthread_t()
    // Safe: the context stays retained until the thread takes it.
    let threadStatus = unsafe pthread_create(
      &thread, nil,
      { context in
        // Safe: the one argument is the retained watch from above, and this is its one release.
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<Watch>.fromOpaque(context).takeRetainedValue().run()
      }, context.toOpaque())
    guard threadStatus == 0 else {
      // Safe: no thread has the context; the mask is the one from above.
      unsafe context.release()
      unsafe pthread_sigmask(SIG_SETMASK, &previous, nil)
      throw ConsoleFailure(errorNumber: threadStatus, "starting the thread that waits for signals")
    }
    pthread_detach(thread)
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    // Safe: asks only, and fills a structure that outlives the call; the member is the address of a function or one
    // of the numbers SIG_DFL (0) and SIG_IGN (1), and is only compared.
    unsafe sigaction(signal, nil, &action)
    return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self) == 1
  }
}

/// What the watching thread owns.
private final class Watch: Sendable {
  private let signals: sigset_t
  private let handle: @Sendable (_ signal: Int32, _ ordinal: Int) -> Void

  init(signals: sigset_t, handle: @escaping @Sendable (_ signal: Int32, _ ordinal: Int) -> Void) {
    self.signals = signals
    self.handle = handle
  }

  func run() -> Never {
    var signals = signals
    var ordinal = 0
    while true {
      var signal: Int32 = 0
      // Safe: both outlive the call, which fails only for invalid sets; an empty one waits for ever.
      guard unsafe sigwait(&signals, &signal) == 0 else { continue }
      ordinal += 1
      handle(signal, ordinal)
    }
  }
}
