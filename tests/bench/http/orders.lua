-- Orders that fill each other: two users, one price. The environment has their tokens.
local users = { { os.getenv("SELLER"), "SELL" }, { os.getenv("BUYER"), "BUY" } }
local count = 0
request = function()
    count = count + 1
    local user = users[count % 2 + 1]
    return wrk.format("POST", nil,
        { ["Authorization"] = "Bearer " .. user[1], ["Content-Type"] = "application/json" },
        '{"symbol":"BTC-USDT","side":"' .. user[2] .. '","type":"LIMIT","quantity":"0.0001","price":"60000"}')
end
