import StorageIO

/// What a file of the tree is beside its name: its bytes, its dates, and who has it open. A reference: copies are the same
/// file.
///
/// Many readers or one writer, first come, first served: who wants what it cannot have now waits behind all who came
/// before, so that a stream of readers keeps no writer out. While a writer has it, the writer has the bytes; they come back
/// when it is done.
struct StagedFile: Sendable, Equatable {
  enum Access: Sendable {
    case read, write
  }

  struct State: Sendable {
    /// Nothing while a writer has it.
    var content = StagedContent()
    /// Whether it has left the tree: who waited for it looks for its path again.
    var isRemoved = false
    /// Whether the writer has begun to hand it over to the store, under the name that it has.
    var isOverflowing = false
    // What an open needs comes first, so that it lies together: with many files most of an open is waiting for memory.
    fileprivate(set) var queue = Queue()
    var visibleByteCount = 0
    var createdNanoseconds: Int64
    var modifiedNanoseconds: Int64
    /// How often it was changed since it was made or imported.
    var generation = 0
    /// The change of the whole tree that was its last.
    var changeNumber: UInt64

    init(_ content: StagedContent, changeNumber: UInt64) {
      self.content = content
      self.changeNumber = changeNumber
      visibleByteCount = content.byteCount
      createdNanoseconds = Clock.wallNanoseconds()
      modifiedNanoseconds = createdNanoseconds
    }

    /// Other bytes, which count as unchanged.
    mutating func replace(_ content: StagedContent, _ changeNumber: UInt64) {
      self.content = content
      self.changeNumber = changeNumber
      visibleByteCount = content.byteCount
      modifiedNanoseconds = Clock.wallNanoseconds()
      generation = 0
    }

    /// The bytes for one who changes them in place.
    mutating func takeContent() -> StagedContent {
      var taken = StagedContent()
      swap(&taken, &content)
      return taken
    }
  }

  /// Who has the file, and who waits for it.
  struct Queue: Sendable {
    private var readerCount = 0
    private var hasWriter = false
    private var waiting: [UInt64] = []
    private var nextTicket: UInt64 = 0

    var isFree: Bool { readerCount == 0 && !hasWriter }
    func canGive(_ access: Access) -> Bool { access == .read ? !hasWriter : isFree }

    /// Lets somebody in who need not wait.
    mutating func enter(_ access: Access) -> Bool {
      guard waiting.isEmpty, canGive(access) else { return false }
      give(access)
      return true
    }

    var waitingCount: Int { waiting.count }

    mutating func takeTicket() -> UInt64 {
      nextTicket += 1
      waiting.append(nextTicket)
      return nextTicket
    }

    /// Lets the holder of `ticket` in if it is its turn.
    mutating func enter(_ access: Access, _ ticket: UInt64) -> Bool {
      guard waiting.first == ticket, canGive(access) else { return false }
      waiting.removeFirst()
      give(access)
      return true
    }

    mutating func giveUp(_ ticket: UInt64) { waiting.removeAll { $0 == ticket } }

    mutating func leave(_ access: Access) {
      if access == .read { readerCount -= 1 } else { hasWriter = false }
    }

    private mutating func give(_ access: Access) {
      if access == .read { readerCount += 1 } else { hasWriter = true }
    }
  }

  private let state: Monitor<State>

  init(_ content: StagedContent = StagedContent(), changeNumber: UInt64) {
    state = Monitor(State(content, changeNumber: changeNumber))
  }

  static func == (left: StagedFile, right: StagedFile) -> Bool { left.state === right.state }

  /// Calls `body` with the state; nobody waits in it.
  func withState<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R { try state.withLock(body) }

  /// Lets the caller in, or not when `deadline` has passed before it is its turn. Who was let in calls ``leave(_:_:)``.
  /// - Returns: What `body` gives, called as soon as the caller is in; nil when it is not.
  func enter<R>(_ access: Access, _ deadline: inout Deadline, _ body: (inout State) -> R) -> R? {
    let ticket: (entered: R?, number: UInt64) = state.withLock { state in
      if state.queue.enter(access) { return (body(&state), 0) }
      if let seconds = deadline.remainingSeconds(), seconds <= 0 { return (nil, 0) }
      return (nil, state.queue.takeTicket())
    }
    if ticket.number == 0 { return ticket.entered }
    func turn(_ state: inout State) -> R? { state.queue.enter(access, ticket.number) ? body(&state) : nil }
    guard let seconds = deadline.remainingSeconds() else { return state.wait(until: turn) }
    if let entered = state.wait(seconds: seconds, until: turn) { return entered }
    state.withLock { $0.queue.giveUp(ticket.number) }
    return nil
  }

  /// Ends what ``enter(_:_:_:)`` began, with a last change of the state.
  func leave(_ access: Access, _ body: (inout State) -> Void = { _ in }) {
    state.withLock { state in
      body(&state)
      state.queue.leave(access)
    }
  }
}
