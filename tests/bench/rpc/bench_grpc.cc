/*
 * gRPC C++: bench_grpc workers|queues SECONDS IN_FLIGHT... The client goes by completion queues,
 * gRPC's fastest interface. The server has a choice: "workers" is its synchronous service, whose
 * handlers may block, as the house's may; "queues" is the asynchronous one, whose handlers must
 * not.
 */
#include "echo.grpc.pb.h"
#include "echo_bench.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr unsigned queues = 2; /* one for each core */
constexpr unsigned calls_waiting = 256;

/* ---- server ---- */

struct ServerCall {
    echo::Echo::AsyncService *service;
    grpc::ServerCompletionQueue *queue;
    std::unique_ptr<grpc::ServerContext> context;
    std::unique_ptr<grpc::ServerAsyncResponseWriter<echo::Text>> responder;
    echo::Text request, reply;
    bool answered = false;

    void wait()
    {
        answered = false;
        context = std::make_unique<grpc::ServerContext>();
        responder = std::make_unique<grpc::ServerAsyncResponseWriter<echo::Text>>(context.get());
        service->RequestSay(context.get(), &request, responder.get(), queue, queue, this);
    }

    void go_on()
    {
        if (answered) {
            wait();
            return;
        }
        answered = true;
        reply.set_text(request.text());
        responder->Finish(reply, grpc::Status::OK, this);
    }
};

struct Workers final : echo::Echo::Service {
    grpc::Status Say(grpc::ServerContext *, const echo::Text *request, echo::Text *reply) override
    {
        reply->set_text(request->text());
        return grpc::Status::OK;
    }
};

void serve_by_workers(int port_fd)
{
    Workers service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    echo_say_port(port_fd, static_cast<unsigned>(port));
    server->Wait();
}

void serve_by_queues(int port_fd)
{
    echo::Echo::AsyncService service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> completion;
    for (unsigned i = 0; i < queues; i++)
        completion.push_back(builder.AddCompletionQueue());
    auto server = builder.BuildAndStart();
    std::vector<std::thread> threads;
    for (auto &queue : completion) {
        for (unsigned i = 0; i < calls_waiting; i++)
            (new ServerCall{&service, queue.get(), nullptr, nullptr, {}, {}})->wait();
        threads.emplace_back([&queue] {
            void *tag;
            bool ok;
            while (queue->Next(&tag, &ok))
                if (ok) static_cast<ServerCall *>(tag)->go_on();
        });
    }
    echo_say_port(port_fd, static_cast<unsigned>(port));
    for (auto &thread : threads)
        thread.join();
}

/* ---- client ---- */

int64_t from_ns, until_ns;
std::vector<uint32_t> samples(ECHO_SAMPLES_MAX);
std::atomic<uint32_t> sample_count, running;
echo::Text text;

struct ClientCall {
    echo::Echo::Stub *stub;
    grpc::CompletionQueue *queue;
    int64_t started_ns = 0;
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<echo::Text>> reader;
    echo::Text reply;
    grpc::Status status;

    void next()
    {
        started_ns = echo_now_ns();
        context = std::make_unique<grpc::ClientContext>();
        context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
        reader = stub->AsyncSay(context.get(), text, queue);
        reader->Finish(&reply, &status, this);
    }

    /* False: the time is over. */
    bool done()
    {
        if (!status.ok() || reply.text().size() != ECHO_SIZE) abort();
        int64_t now_ns = echo_now_ns();
        if (started_ns >= from_ns && now_ns < until_ns) {
            uint32_t at = sample_count++;
            if (at < samples.size()) samples[at] = static_cast<uint32_t>(now_ns - started_ns);
        }
        if (now_ns >= until_ns) return false;
        next();
        return true;
    }
};

void measure(echo::Echo::Stub *stub, unsigned inflight, int64_t took_ns)
{
    unsigned used = inflight < queues ? 1 : queues;
    std::vector<grpc::CompletionQueue> completion(used);
    std::vector<ClientCall> calls;
    for (unsigned i = 0; i < inflight; i++)
        calls.push_back({stub, &completion[i % used], 0, nullptr, nullptr, {}, {}});
    from_ns = echo_now_ns() + ECHO_WARM_UP_NS;
    until_ns = from_ns + took_ns;
    sample_count = 0;
    for (auto &call : calls)
        call.next();
    std::vector<std::thread> threads;
    for (unsigned q = 0; q < used; q++)
        threads.emplace_back([&, q] {
            void *tag;
            bool ok;
            unsigned left = inflight / used + (q < inflight % used);
            while (left && completion[q].Next(&tag, &ok))
                if (!static_cast<ClientCall *>(tag)->done()) left--;
        });
    for (auto &thread : threads)
        thread.join();
    echo_report(inflight, samples.data(), sample_count, took_ns);
}

} // namespace

int main(int argc, char **argv)
{
    pid_t server;
    bool workers = argc > 1 && std::string(argv[1]) == "workers";
    unsigned port = echo_start_server(workers ? serve_by_workers : serve_by_queues, &server);
    auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                       grpc::InsecureChannelCredentials());
    auto stub = echo::Echo::NewStub(channel);
    text.set_text(std::string(ECHO_SIZE, 'x'));
    for (int i = 3; i < argc; i++)
        measure(stub.get(), static_cast<unsigned>(strtoul(argv[i], nullptr, 10)),
                static_cast<int64_t>(strtod(argv[2], nullptr) * 1e9));
    kill(server, SIGKILL);
    _exit(0);
}
