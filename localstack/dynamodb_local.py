"""Stands in for the `java` that LocalStack starts DynamoDB Local with, so that it listens on loopback alone.

DynamoDB Local itself listens on every interface and has no setting for it. So this loads Java into this process, lets
DynamoDB Local build its server, and sets the address before the server starts.
The arguments are those of `java`, as LocalStack writes them; BIRDSONG_JAVA_HOME is where Java is.
"""

import os
import sys
from pathlib import Path

import jpype


def main() -> None:
    arguments = sys.argv[1:]
    split = arguments.index("-jar")
    # The agent is a patch that LocalStack downloads; it only raises the limit of global indexes.
    java_options = [option for option in arguments[:split] if not option.startswith("-javaagent:")]
    jar, *server_options = arguments[split + 1 :]

    jvm = next(Path(os.environ["BIRDSONG_JAVA_HOME"]).glob("**/server/libjvm.so"))
    jpype.startJVM(str(jvm), *java_options, classpath=[jar])
    runner = jpype.JClass("com.amazonaws.services.dynamodbv2.local.main.ServerRunner")
    dynamodb = runner.createServerFromCommandLineArgs(server_options)
    web_server = dynamodb.getClass().getDeclaredField("server")
    web_server.setAccessible(True)
    for connector in web_server.get(dynamodb).getConnectors():
        connector.setHost("127.0.0.1")
    dynamodb.start()
    dynamodb.join()


if __name__ == "__main__":
    main()
