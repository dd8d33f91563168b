import CYAML

/// The events of libyaml's parser as Swift values.
@safe struct YAMLEvents: ~Copyable {
  /// One step through a document.
  struct Event {
    enum Kind: Hashable {
      case streamStart
      case streamEnd
      case documentStart
      case documentEnd
      case alias
      case scalar(String, isQuoted: Bool)
      case sequenceStart
      case sequenceEnd
      case mappingStart
      case mappingEnd
    }

    var kind: Kind
    var position: YAMLPosition
    var hasAnchor = false
    var hasTag = false
  }

  private let bytes: [UInt8]
  /// On the heap, as libyaml keeps a pointer from the parser to itself.
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  /// Calls `body` with the events of `bytes`.
  static func reading<Result>(
    _ bytes: [UInt8], _ body: (inout YAMLEvents) throws(YAMLFailure) -> Result
  ) throws(YAMLFailure) -> Result {
    // Safe: the parser reads the buffer only in `body`, while it is valid; the events end before it does.
    try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(YAMLFailure) in
      var events = unsafe try YAMLEvents(bytes, buffer)
      return try body(&events)
    }
  }

  private init(_ bytes: [UInt8], _ buffer: UnsafeBufferPointer<UInt8>) throws(YAMLFailure) {
    self.bytes = bytes
    // Safe: allocated here and freed in deinit, or below if libyaml has no memory for its own parts.
    unsafe parser = .allocate(capacity: 1)
    unsafe parser.initialize(to: yaml_parser_t())
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      throw YAMLFailure(.tooLarge, at: YAMLPosition(line: 1, column: 1), "no memory to read the document")
    }
    unsafe yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
  }

  deinit {
    // Safe: initialised in init and not used after this.
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  /// The next event; not to be called after `.streamEnd` or a failure.
  mutating func next() throws(YAMLFailure) -> Event {
    // Safe: libyaml fills the event, and what it allocated in it is freed after the copy below.
    var raw = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &raw) == 1 else { throw failure() }
    defer { unsafe yaml_event_delete(&raw) }
    return unsafe Self.event(raw)
  }

  private static func event(_ raw: yaml_event_t) -> Event {
    // Safe: the member of the union that is read is the one that belongs to the type of the event.
    var event = unsafe Event(kind: .streamStart, position: position(raw.start_mark))
    switch unsafe raw.type {
    case YAML_STREAM_END_EVENT: event.kind = .streamEnd
    case YAML_DOCUMENT_START_EVENT: event.kind = .documentStart
    case YAML_DOCUMENT_END_EVENT: event.kind = .documentEnd
    case YAML_ALIAS_EVENT: event.kind = .alias
    case YAML_SCALAR_EVENT:
      let scalar = unsafe raw.data.scalar
      // Safe: libyaml gives the length of the value, which it has made valid UTF-8.
      let text = unsafe String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      event.kind = .scalar(text, isQuoted: unsafe scalar.style != YAML_PLAIN_SCALAR_STYLE)
      (event.hasAnchor, event.hasTag) = unsafe (scalar.anchor != nil, scalar.tag != nil)
    case YAML_SEQUENCE_START_EVENT:
      event.kind = .sequenceStart
      let start = unsafe raw.data.sequence_start
      (event.hasAnchor, event.hasTag) = unsafe (start.anchor != nil, start.tag != nil)
    case YAML_SEQUENCE_END_EVENT: event.kind = .sequenceEnd
    case YAML_MAPPING_START_EVENT:
      event.kind = .mappingStart
      let start = unsafe raw.data.mapping_start
      (event.hasAnchor, event.hasTag) = unsafe (start.anchor != nil, start.tag != nil)
    case YAML_MAPPING_END_EVENT: event.kind = .mappingEnd
    default: break
    }
    return event
  }

  private func failure() -> YAMLFailure {
    // Safe: after a failed call the texts are null or constants of libyaml.
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "cannot be read"
    // What libyaml was about to read began here, which is often nearer to the mistake than where it gave up.
    let contextLine = unsafe parser.pointee.context_mark.line + 1
    let context = unsafe parser.pointee.context.map { unsafe "\(String(cString: $0)) on line \(contextLine): " } ?? ""
    switch unsafe parser.pointee.error {
    case YAML_READER_ERROR:
      // The reader knows the byte, not the line.
      return unsafe YAMLFailure(.malformed, at: position(atByte: Int(parser.pointee.problem_offset)), problem)
    case YAML_MEMORY_ERROR:
      return unsafe YAMLFailure(
        .tooLarge, at: Self.position(parser.pointee.mark), "no memory to read the document")
    default:
      return unsafe YAMLFailure(.malformed, at: Self.position(parser.pointee.problem_mark), context + problem)
    }
  }

  private static func position(_ mark: yaml_mark_t) -> YAMLPosition {
    YAMLPosition(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
  }

  private func position(atByte offset: Int) -> YAMLPosition {
    let before = bytes.prefix(offset)
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    let isContinuation = { (byte: UInt8) in byte & 0xC0 == 0x80 }
    return YAMLPosition(
      line: before.count { $0 == UInt8(ascii: "\n") } + 1,
      column: before[lineStart...].count { !isContinuation($0) } + 1)
  }
}
