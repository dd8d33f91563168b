import Console

ProcessExit.normally(BenchCommand.run(ProcessArguments.bytes))
